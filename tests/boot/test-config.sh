#!/bin/sh
# xl.cfg files: what is warned about and where, what is refused, and which tree comes out.
set -u
. "$(dirname "$0")/tap.sh"
: >"$work/hypervisor"

config() { cat >"$work/$1.cfg"; }
print() { "$paravane" run --print-command --bundle "$work" --hypervisor "$work/hypervisor" "$@"; }

config good <<END
# a comment with builder="hvm" in it
name = "alpha"
kernel = "$sample"
memory = 32
maxmem = 48
vcpus = 2
cpus = "0-2,^1"
cpu_weight = 512
cap = 50
root = "/dev/xvda"
extra = "quiet, 'x'"
uuid = "00112233-4455-6677-8899-aabbccddeeff"
on_reboot = "restart"
on_crash = 'preserve'
END
ask 'a good file' 0 print "$work/good.cfg"
says 'a comma is doubled for QEMU' "-initrd $work/domains.dtb,"
dtc -q -I dtb -O dts "$work/domains.dtb" >"$work/tree"
for line in 'compatible = "hypervisor,xen";' 'alpha {' 'domid = <0x01>;' 'mode = <0x05>;' \
    'memory = <0x00 0x8000>;' 'paravane,max-memory = <0x00 0xc000>;' 'cpus = <0x02>;' \
    'paravane,cpu-affinity = <0x05 0x00>;' 'paravane,cpu-weight = <0x200>;' \
    'paravane,cpu-cap = <0x32>;' 'paravane,on-reboot = "restart";' \
    'paravane,on-crash = "preserve";' 'domain-uuid = <0x112233 0x44556677 0x8899aabb 0xccddeeff>;' \
    'compatible = "module,kernel\0multiboot,module";' 'mb-index = <0x01>;' \
    "bootargs = \"root=/dev/xvda quiet, 'x'\";"; do
    holds "$work/tree" "the tree has $line" "$line"
done

config warned <<END
name = "beta"
kernel = "$sample"
builder = "generic"   # not a warning

vif = [ 'mac=00:16:3e:00:00:01, bridge=xenbr0',
        "builder=x" ]
hap = 1
stdvga=1; vnc = 0
flavour = "vanilla"
disk = [ ]
END
ask 'a file with warnings' 0 print "$work/warned.cfg"
told 'not served, with its line' "warned.cfg:5: vif is not served by paravane"
told 'HVM only, behind a list of two lines' "warned.cfg:7: hap is for HVM guests only"
told 'two keys on one line' "warned.cfg:8: vnc is for HVM guests only"
told 'unknown' "warned.cfg:9: flavour is unknown"
[ "$(grep -c warning: "$err")" = 6 ]
result $? 'six warnings, no more'

kernel="kernel = \"$sample\"\n"
refused() { # WHAT TEXT FILE
    printf "$3" >"$work/bad.cfg"
    ask "$1: exit code 15" 15 print "$work/bad.cfg"
    told "$1: the sentence" "$2"
}
refused 'syntax' "bad.cfg:3: config parsing error" 'name = "x"\nkernel = [\nfoo\n'
[ "$(wc -l <"$err")" = 1 ]
result $? 'in one sentence'
refused 'a negative number' "bad.cfg:3: config parsing error near \`-5': lexical error; a value is a number without a sign" \
    'name = "x"\n'"$kernel"'memory = -5\n'
[ "$(wc -l <"$err")" = 1 ]
result $? 'in one sentence, and nothing about Python'
refused 'a negative number, as a text' 'bad.cfg:3: memory= has to be a number from 1 to' 'name = "x"\n'"$kernel"'memory = "-5"\n'
refused 'a NUL byte' 'has a NUL byte' 'name = "x\0y"\n'
refused 'no kernel' 'there is no kernel=' 'name = "x"\n'
refused 'no name' 'there is no name=' "$kernel"
refused 'odd name' 'choose another' 'name = "a/b"\n'"$kernel"
refused 'an HVM guest' 'only PV guests run here' 'name = "x"\ntype = "hvm"\n'"$kernel"
refused 'HVM, the old word' 'only PV guests run here' 'name = "x"\nbuilder = "hvm"\n'"$kernel"
refused 'memory' 'memory= has to be a number' 'name = "x"\nmemory = "much"\n'"$kernel"
refused 'cpus' 'is no list of CPUs' 'name = "x"\ncpus = "3-1"\n'"$kernel"
refused 'uuid' 'is no UUID' 'name = "x"\nuuid = "12"\n'"$kernel"
refused 'on_crash' 'is not served; write' 'name = "x"\non_crash = "explode"\n'"$kernel"
cp "$work/good.cfg" "$work/again.cfg"
ask 'the same name twice: exit code 15' 15 print "$work/good.cfg" "$work/again.cfg"
told 'the same name twice: the sentence' 'both name their domain alpha'
ask 'a missing file: exit code 10' 10 print "$work/missing.cfg"

sed 's/alpha/gamma/' "$work/good.cfg" >"$work/again.cfg"
cp "$sample" "$work/with, comma"
sed "s|^kernel.*|kernel = \"with, comma\"|; s/alpha/delta/" "$work/good.cfg" >"$work/beside.cfg"
ask 'three guests, one beside its file, with an odd name' 0 \
    print "$work/good.cfg" "$work/again.cfg" "$work/beside.cfg"
says 'the odd name has another one in the bundle' ",$work/d3-kernel"
dtc -q -I dtb -O dts "$work/domains.dtb" >"$work/tree"
holds "$work/tree" 'two share a file: the third domain has the second module' 'mb-index = <0x02>;'
holds "$work/tree" 'and the id 3' 'domid = <0x03>;'

ask 'words given twice' 0 print --dom0 -x 'a b' -x c --append loglvl=all --append noreboot "$sample" first
says 'the guest gets all of them, in order' 'first a b c'
says 'and so does the hypervisor' 'loglvl=all noreboot'
plan
