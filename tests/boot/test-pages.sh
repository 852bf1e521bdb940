#!/bin/sh
# What is said on paper: help, inspect, explain, hypercalls, and that the
# manuals agree with the lists in the program.
#   test-pages.sh BUILD SOURCE
set -u
. "$(dirname "$0")/tap.sh"
source=$2

ask 'help' 0 "$paravane" help
says 'help names inspect' 'inspect'
ask 'help run' 0 "$paravane" help run
says 'help run names --icount' '--icount'

ask 'inspect an ELF file' 0 "$paravane" inspect "$sample"
says 'its notes' 'XEN_VERSION         "xen-3.0"'
says 'its verdict' 'It boots as a PV guest'
ask 'inspect an image without notes' 0 "$paravane" inspect "$sample-section"
says 'its words' '6 words in the section __xen_guest'
ask 'inspect a kernel of the bare machine' 12 "$paravane" inspect "$1/pv-guest/pv-guest-native"
says 'it boots there' 'With --native it boots on the bare machine.'
ask 'inspect in JSON' 0 "$paravane" inspect -o json "$sample"
says 'the base, as a string' '"VIRT_BASE": "0xffffffff80000000"'
odd=$work/$(printf 'caf\351')
cp "$sample" "$odd"
ask 'inspect in JSON, of a path in another encoding' 0 "$paravane" inspect -o json "$odd"
says 'the path' 'caf?'
ask 'unpack' 0 "$paravane" inspect -u "$work/unpacked" "$sample"
cmp -s "$sample" "$work/unpacked"
result $? 'gives the ELF file'
ask 'inspect an image that does not boot' 13 "$paravane" inspect "$sample-32"
says 'and why' 'It would not boot as a PV guest: it is a 32-bit'

# A bzImage: setup header of protocol 2.08 (no setup sectors but the one that
# 1 means), an ELF payload, and behind it the length that Linux puts there.
little() { # VALUE: four bytes, the lowest first
    printf "\\$(printf %o $(($1 & 255)))\\$(printf %o $(($1 >> 8 & 255)))\\$(printf %o $(($1 >> 16 & 255)))\\$(printf %o $(($1 >> 24 & 255)))"
}
bzimage() { # PAYLOAD TRAILER: 4 bytes of size, which gzip brings along
    length=$(($(wc -c <"$1") + $2))
    {
        head -c 497 /dev/zero
        printf '\001'
        head -c 12 /dev/zero
        printf '\125\252\353\146HdrS\010\002'
        head -c 64 /dev/zero
        little 16
        little "$length"
        head -c 432 /dev/zero
        head -c 16 /dev/zero
        cat "$1"
        [ "$2" = 0 ] || little "$(wc -c <"$sample")"
    } >"$work/bzImage"
}
for codec in gzip xz 'lzma' bzip2 'zstd' 'lz4 -l'; do
    command -v ${codec%% *} >/dev/null || continue
    # shellcheck disable=SC2086
    $codec -c <"$sample" >"$work/payload"
    bzimage "$work/payload" $([ "$codec" = gzip ] && echo 0 || echo 4)
    ask "inspect a bzImage with $codec" 0 "$paravane" inspect "$work/bzImage"
    says "$codec is found" "bzImage ("
done
head -c 600 "$work/payload" >"$work/short"
bzimage "$work/short" 4
ask 'a payload that is cut off' 14 "$paravane" inspect "$work/bzImage"
told 'and what it means' 'payload does not unpack'
head -c 800 "$work/bzImage" >"$work/cut"
ask 'a header that points outside' 14 "$paravane" inspect "$work/cut"

ask 'explain a code' 0 "$paravane" explain 20
says 'its name' 'GUEST_CRASHED'
ask 'explain a name' 0 "$paravane" explain guest_crashed
ask 'explain a rule' 0 "$paravane" explain PT-004
says 'its errno' 'EBUSY'
ask 'explain alone lists both' 0 "$paravane" explain
ask 'hypercalls' 0 "$paravane" hypercalls
says 'the list has all numbers' '  26  mmuext_op'
ask 'one hypercall' 0 "$paravane" hypercalls sched_op
says 'with its operations' 'SCHEDOP_shutdown'

ask 'the command for domain 0' 0 "$paravane" run --print-command --dom0 --hypervisor "$sample" \
    --cpu max --cpus 2 -m 32 "$sample" one two,three
says 'the kernel and its words' "'$sample one two,,three'"
says 'the hypervisor'\''s words' 'dom0_mem=32M dom0_max_vcpus=1 debug-exit=0xf4 bootscrub=no'
says 'the CPUs' '-cpu max -smp 2'
ask 'the command for counting' 0 "$paravane" run --print-command --dom0 --icount \
    --hypervisor "$sample" "$sample"
says 'one thread, a clock that jumps' '-accel tcg,thread=single -icount shift=0,sleep=off'

# How the machine starts, and on how many threads.
command() { "$paravane" run --print-command --hypervisor "$sample" "$@" "$sample"; }
ask 'one CPU' 0 command
says 'QEMU chooses its threads' '-accel tcg -cpu'
ask 'more CPUs than any host has free' 0 command -v --cpus 64
says 'take turns' '-accel tcg,thread=single'
told 'which -v says' 'paravane: threads: one for 64 CPUs; '
ask 'the same, as told' 0 command -v --cpus 64 --threads multi
says 'have a thread each' '-accel tcg,thread=multi'
told 'which -v says, too' 'paravane: threads: one each for 64 CPUs; '
ask 'two CPUs, as told' 0 command --cpus 2 --threads single
says 'take turns, too' '-accel tcg,thread=single'
qboot=/usr/share/qemu/qboot.rom
if [ -e $qboot ]; then
    ask 'firmware, with nothing to look for' 0 command -v
    says 'is qboot' "-bios $qboot"
    told 'which -v tells' 'paravane: firmware: qboot'
    ask 'firmware, as told' 0 command --firmware seabios
    says_not 'is not' '-bios'
    ask 'firmware, with a network card' 0 command -v --dom0 --net
    says_not 'is not, either' '-bios'
    told 'for this reason' 'paravane: firmware: SeaBIOS, as qboot gives PCI devices no addresses'
    ask 'qboot, as told' 0 command --firmware qboot --dom0 --net
    says 'is told to QEMU' "-bios $qboot"
    ask 'all in one folder' 0 command --firmware "$qboot" --bundle "$work/rom"
    says 'has a copy' "-bios $work/rom/firmware.rom"
fi

# The page of exit codes, of options and of the binding say what the program does.
"$paravane" explain >"$work/codes"
missing=0
while read -r code name rest; do
    case $code in [0-9]*) ;; *) continue ;; esac
    [ "$name" = rules ] && continue
    grep -q "^| $code | \`$name\` |" "$source/tools/README.md" || {
        echo "# not in tools/README.md: $code $name"
        missing=1
    }
done <"$work/codes"
result $missing 'tools/README.md has every exit code'
missing=0
for option in $("$paravane" help run | sed -n 's/^.* \(--[a-z0-9-]*\) .*/\1/p' | sort -u); do
    grep -q -e "\`$option" "$source/tools/README.md" || {
        echo "# not in tools/README.md: $option"
        missing=1
    }
done
result $missing 'tools/README.md has every option'
sed -n '/^```dts/,/^```$/p' "$source/hypercall-abi/hyperlaunch.md" | grep -v '^```' >"$work/example.dts"
ask 'the example of hyperlaunch.md is a device tree' 0 \
    dtc -q -I dts -O dtb -o "$work/example.dtb" "$work/example.dts"
plan
