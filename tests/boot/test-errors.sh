#!/bin/sh
# Bad input: one sentence with a cause and a fix, and the exit code that
# `paravane explain` documents.  No machine is started for any of these.
set -u
. "$(dirname "$0")/tap.sh"

printf 'not a kernel' >"$work/text"
head -c 40 "$sample" >"$work/header-cut"
head -c 5000 "$sample" >"$work/cut"
: >"$work/empty"

# fails WHAT CODE TEXT COMMAND...: exit code, one sentence, TEXT in it.
fails() {
    what=$1 code=$2 text=$3
    shift 3
    ask "$what: exit code $code" "$code" "$@"
    told "$what: the sentence" "$text"
    if [ "$(grep -c '^paravane: ' "$err")" = 1 ]; then
        result 0 "$what: it is one"
    else
        result 1 "$what: it is one"
        comment <"$err"
    fi
}

fails 'no command' 2 '`paravane help` lists them' "$paravane"
fails 'unknown command' 2 '"fly" is no command' "$paravane" fly
fails 'unknown option' 2 'this option is unknown' "$paravane" run --fly "$sample"
fails 'no kernel' 2 'run needs a KERNEL' "$paravane" run
fails 'memory that is no number' 2 '--memory lots is not a number' "$paravane" run -m lots "$sample"
fails 'negative memory' 2 '--memory -1 is not a number' "$paravane" run -m -1 "$sample"
fails 'unknown accelerator' 2 'give auto, tcg or kvm' "$paravane" run --accel hvf "$sample"
fails 'unknown threads' 2 'give auto, single or multi' "$paravane" run --threads 3 "$sample"
fails 'counting on many threads' 2 'leave out --threads multi' "$paravane" run --threads multi --icount "$sample"
fails 'threads with kvm' 2 '--threads is about tcg' "$paravane" run --threads single --accel kvm "$sample"
fails 'firmware that is not there' 10 'give qboot, seabios or the path of a file' "$paravane" run --firmware "$work/missing" "$sample"
fails 'counting with kvm' 2 '--icount needs tcg' "$paravane" run --accel kvm --icount "$sample"
fails 'unknown verdict' 2 'is no verdict' "$paravane" run --expect JOY "$sample"
fails 'unknown hypercall' 2 'lists them' "$paravane" hypercalls fly
fails 'unknown rule' 2 'lists both' "$paravane" explain ZZ-999

fails 'a command line that is too long' 2 'start_info has room for 1023' \
    "$paravane" run "$sample" "$(printf '%01024d' 0)"

fails 'missing kernel' 10 'No such file' "$paravane" run "$work/missing"
fails 'folder as kernel' 10 'it is a folder' "$paravane" run "$work"
fails 'missing ramdisk' 10 'cannot read the ramdisk' "$paravane" run -r "$work/missing" "$sample"
fails 'missing hypervisor' 10 'cannot read the hypervisor' \
    "$paravane" run --hypervisor "$work/missing" "$sample"
fails 'missing tree' 10 'cannot read the device tree' "$paravane" run --tree "$work/missing" "$sample"

fails 'a text as tree' 17 'no flattened device tree' "$paravane" run --tree "$work/text" "$sample"
fails 'nothing to do' 2 'lists them' "$paravane"
fails 'a kernel behind a description' 15 'or a KERNEL without them' \
    sh -c 'cd "$1" && printf "name=\"a\"\nkernel=\"%s\"\n" "$2" >a.cfg && exec "$3" run a.cfg "$2"' sh "$work" "$sample" "$paravane"
fails 'an unknown page of help' 2 'there is no page about "fly"' "$paravane" help fly
fails 'a machine too small for its firmware' 2 'not a number from 4 to' "$paravane" run --machine-memory 3 "$sample"
fails 'no domain at all' 2 '--copies 0 is not a number from 1 to 2048' "$paravane" run --copies 0 "$sample"
fails 'too many domains' 2 '--copies 2049 is not a number from 1 to 2048' "$paravane" run --copies 2049 "$sample"
fails 'copies on Xen' 2 'plain modules describe one domain' "$paravane" run --copies 2 --dom0 "$sample"
fails 'less memory than at the start' 2 'lower -m' "$paravane" run -m 128 --max-memory 64 "$sample"
fails 'a trace of Xen' 2 'Xen does not tell' "$paravane" strace --hypervisor xen "$sample"
fails 'a trace of nothing' 2 'run needs a KERNEL' "$paravane" strace
fails 'an addition without a name' 10 'give --add PATH' "$paravane" run --add :/x "$sample"
fails 'a device as addition' 10 'it is a device' "$paravane" run --add /dev/null "$sample"
fails 'a bundle that cannot be' 25 'check the folder of --bundle' "$paravane" run --bundle /proc/x "$sample"

fails 'text as kernel' 11 'neither an ELF file nor a bzImage' "$paravane" run "$work/text"
fails 'empty file as kernel' 11 'neither an ELF file nor a bzImage' "$paravane" run "$work/empty"
fails 'ELF header cut off' 11 'no whole ELF header' "$paravane" run "$work/header-cut"
fails 'program as kernel' 12 'no ELF notes of owner "Xen"' "$paravane" run /bin/busybox
fails 'no notes' 12 'no ELF notes of owner "Xen"' "$paravane" run "$sample-no-notes"
fails 'PVH kernel' 12 'for PVH boot' "$paravane" run "$sample-pvh"
fails '32-bit PV guest' 13 '32-bit paravirtualized' "$paravane" run "$sample-32"
fails 'kernel cut off' 14 'lies outside the file' "$paravane" run "$work/cut"
fails 'another interface' 14 'xen-9.9' "$paravane" run "$sample-wrong-version"
fails 'a demanded feature' 14 'demands auto_translated_physmap' "$paravane" run "$sample-wrong-feature"
fails 'entry outside' 14 'entry 0x12345678 lies outside' "$paravane" run "$sample-wrong-entry"

head -c 20000000 /dev/zero >"$work/big"
fails 'too little memory' 16 'raise -m' "$paravane" run -m 1 "$sample"
fails 'too little memory for the ramdisk' 16 'kernel and ramdisk need at least' \
    "$paravane" run -m 16 -r "$work/big" "$sample"

: >"$work/hypervisor"
fails 'no QEMU' 24 'tools/setup installs it' \
    env PARAVANE_QEMU="$work/missing" "$paravane" run --hypervisor "$work/hypervisor" "$sample"
fails 'QEMU that fails' 23 'QEMU ended with status' \
    env PARAVANE_QEMU=/bin/false "$paravane" run --hypervisor "$work/hypervisor" "$sample"
fails 'several guests without a tree' 2 'plain modules describe one domain' \
    sh -c 'cd "$1" && for n in a b; do printf "name=\"%s\"\nkernel=\"%s\"\n" $n "$2" >$n.cfg; done
           exec "$3" run --dom0 --hypervisor hypervisor a.cfg b.cfg' sh "$work" "$sample" "$paravane"
# Options behind KERNEL are words for the guest: they are passed on, and hinted at.
hint() { "$paravane" run --print-command --hypervisor "$work/hypervisor" --dom0 "$@"; }
for word in -m --memory=5 -m128 --timeout -q --; do
    ask "$word behind KERNEL" 0 hint "$sample" one $word
    says "$word behind KERNEL is passed on" "one $word'"
    case $word in
    --) [ ! -s "$err" ] ;;
    *) grep -qF "warning: $word behind $sample is a word for the guest; paravane's own options go before it" "$err" ;;
    esac
    result $? "$word behind KERNEL: the hint"
done
ask 'words that are no options of ours' 0 hint "$sample" -z --zebra - -- -m 5
[ ! -s "$err" ]
result $? 'words that are no options of ours: no hint'
printf 'name="a"\nkernel="%s"\n' "$sample" >"$work/a.cfg"
fails 'an option behind a file' 2 'options go before the first one' hint "$work/a.cfg" -q

# Words for the hypervisor: all that it reads are known, others are warned of.
words=$(sed -n 's/.*cmdline_\(get\|flag\|number\|denies\)("\([^"]*\)".*/\2/p' "$2"/hypervisor/core/*/*.c "$2"/hypervisor/x86/*/*.c | sort -u)
[ "$(echo "$words" | wc -l)" -ge 15 ]
result $? 'the words that the hypervisor reads are found'
for word in $words com1=115200,8n1 com2 loglvl=all guest_loglvl=all dom0_mem=64M,max:1G no-bootscrub; do
    ask "--append $word" 0 hint --append "$word" "$sample"
    [ ! -s "$err" ]
    result $? "--append $word: no warning"
done
ask '--append with words that it does not' 0 hint --append 'explain explian' --append sched=credit "$sample"
told 'the first is warned of' '--append explian: Paravane knows no such word, so it has no effect; correct it'
told 'and the second' '--append sched=credit: Paravane knows no such word'
[ "$(wc -l <"$err")" = 2 ]
result $? 'and no other'

ask 'more vCPUs than a domain can have' 2 "$paravane" run -c 65 "$sample"
told 'more vCPUs: the limit' 'from 1 to 64'
plan
