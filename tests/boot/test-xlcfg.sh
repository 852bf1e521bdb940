#!/bin/sh
# Every key of xl.cfg(5), walked by the list in the source: what is served means what xl means by it, in every
# form it may have; what is not is said with file and line.
#   test-xlcfg.sh BUILD SOURCE
set -u
. "$(dirname "$0")/tap.sh"
list=$2/tools/paravane/xlcfg-key-list.h
: >"$work/hypervisor"
: >"$work/cpio"

keys() { sed -n "s/^ *K(\([a-z0-9_]*\), $1).*/\1/p" "$list"; }

# try LINE [NEEDED]: a file whose line 3 (line 1 and 2 are name and kernel, unless LINE sets those) is LINE
try() {
    {
        case $1 in name*) echo ;; *) echo 'name="alpha"' ;; esac
        case $1 in kernel*) echo ;; *) [ "${2-}" = no-kernel ] && echo || echo "kernel=\"$sample\"" ;; esac
        printf '%s\n' "$1"
        case $1 in *vcpus*) ;; *) echo 'vcpus=2' ;; esac
    } >"$work/a.cfg"
    status=0
    "$paravane" run --print-command --bundle "$work" --hypervisor "$work/hypervisor" --cpus 8 "$work/a.cfg" >"$out" 2>"$err" || status=$?
    dtc -f -q -I dtb -O dts "$work/domains.dtb" >"$work/tree" 2>/dev/null
}

# Keys without effect: one warning, whatever the value looks like.
warned() { # CLASS TEXT
    for key in $(keys "$1"); do
        bad=
        for value in 1 '"text"' '[ "a", "b" ]' '0x10' "''"; do
            try "$key = $value"
            [ $status = 0 ] && [ "$(cat "$err")" = "paravane: warning: $work/a.cfg:3: $key $2; the line has no effect" ] || bad="$bad $value"
        done
        [ -z "$bad" ]
        result $? "$key $2"
        [ -z "$bad" ] || { echo "# with$bad:"; comment <"$err"; }
    done
}
warned UNSERVED 'is not served by paravane'
warned BOOTS 'is not served by paravane, which boots kernel='
warned HVM 'is for HVM guests only'
warned ARM 'is for ARM only'
warned GONE 'is of older tools, and xl ignores it, too'
for key in bootloader firmware; do
    try "$key = \"pygrub\"" no-kernel
    [ $status = 15 ] && grep -qF "a.cfg:3: $key= is not served, and there is no kernel=" "$err"
    result $? "$key without kernel= is refused"
done

# Keys that are served: KEY | LINE | what the tree then has, or "!" and the refusal, or "~" and the warning | and the tree
while IFS='|' read -r key line want tree; do
    [ -n "$key" ] || continue
    echo "$key" >>"$work/tested"
    try "$line"
    case $want in
    !*) [ $status = 15 ] && grep -qF "a.cfg:3: $key= ${want#!}" "$err" && [ "$(wc -l <"$err")" = 1 ] ;;
    ~*) [ $status = 0 ] && grep -qF "warning: $work/a.cfg:3: $key= ${want#\~}" "$err" && grep -qF "$tree" "$work/tree" ;;
    -*) [ $status = 0 ] && [ ! -s "$err" ] && ! grep -qF "${want#-}" "$work/tree" ;;
    *) [ $status = 0 ] && [ ! -s "$err" ] && grep -qF "$want" "$work/tree" ;;
    esac
    answer=$?
    result $answer "$line"
    [ $answer = 0 ] || { echo "# status $status, wanted $want $tree:"; comment <"$err"; grep -v compatible "$work/tree" | comment; }
done <<ROWS
name|name="a~b c:d"|a~b c:d {
name|name="debian-12.build_1+x,y"|debian-12.build_1+x,y {
name|name="a/b"|!"a/b" has a slash
name|name="a@b"|!"a@b" has a slash
name|name=""|!is empty
name|name=["a"]|!has to be a text
name|name="a234567890123456789012345678901234567890"|~has 40 characters|a234567890123456789012345678901234567890 {
type|type="pv"|mode = <0x05>
type|type='pv'|mode = <0x05>
type|type="hvm"|!asks for a guest of type hvm
type|type="pvh"|!asks for a guest of type pvh
type|type="vm"|!"vm" is no type
type|type="generic"|!"generic" is no type
type|builder="hvm"; type="pv"|mode = <0x05>
builder|builder="generic"|mode = <0x05>
builder|builder="hvm"|!asks for a guest of type hvm
builder|builder="pv"|!"pv" is no type
kernel|kernel="$sample"|module,kernel
kernel|kernel=["$sample"]|!has to be a text
ramdisk|ramdisk="$work/cpio"|module,ramdisk
ramdisk|ramdisk=[]|!has to be a text
cmdline|cmdline="a b=c"|bootargs = "a b=c"
cmdline|cmdline=5|bootargs = "5"
root|root="/dev/xvda1 ro"|bootargs = "root=/dev/xvda1 ro"
root|root="/dev/xvda1 ro"; extra="quiet"|bootargs = "root=/dev/xvda1 ro quiet"
root|cmdline="a"; root="b"|~has no effect, since there is a cmdline=|bootargs = "a"
extra|extra="4 quiet # not a comment"|bootargs = "4 quiet # not a comment"
extra|extra='a "quoted" word; b=1'|bootargs = "a \"quoted\" word; b=1"
extra|extra="a"; extra += " b"|bootargs = "a b"
extra|cmdline="a"; extra="b"|~has no effect, since there is a cmdline=|bootargs = "a"
extra|extra=["a"]|!has to be a text
memory|memory=64|memory = <0x00 0x10000>
memory|memory="64"|memory = <0x00 0x10000>
memory|memory=0x40|memory = <0x00 0x10000>
memory|memory=0100|memory = <0x00 0x10000>
memory|memory=16777216|memory = <0x04 0x00>
memory|memory=16777217|!has to be a number from 1 to 16777216
memory|memory=0|!has to be a number from 1 to 16777216
memory|memory=99999999999999999999|!has to be a number from 1 to 16777216
memory|memory="64M"|!has to be a number from 1 to 16777216
memory|memory=[64]|!has to be a number from 1 to 16777216
maxmem|maxmem=96; memory=64|paravane,max-memory = <0x00 0x18000>
maxmem|maxmem=96|memory = <0x00 0x18000>
maxmem|maxmem=64; memory=64|paravane,max-memory = <0x00 0x10000>
maxmem|maxmem=32; memory=64|!32 is less than memory=64
vcpus|vcpus=3|cpus = <0x03>
vcpus|vcpus=64|cpus = <0x40>
vcpus|vcpus=65|!has to be a number from 1 to 64
vcpus|vcpus=0|!has to be a number from 1 to 64
vcpus|vcpus=2; maxvcpus=4|~2 leaves out 2 of maxvcpus=4|cpus = <0x04>
maxvcpus|maxvcpus=4|cpus = <0x04>
maxvcpus|maxvcpus=2; vcpus=4|!2 is less than vcpus=4
cpus|cpus="all"|-paravane,cpu-affinity
cpus|cpus=3|paravane,cpu-affinity = <0x08 0x00>
cpus|cpus="3"|paravane,cpu-affinity = <0x08 0x00>
cpus|cpus="0-3,5,^1"|paravane,cpu-affinity = <0x2d 0x00>
cpus|cpus="^1,0-3"|paravane,cpu-affinity = <0x0f 0x00>
cpus|cpus="all,^7"|paravane,cpu-affinity = <0xffffff7f 0xffffffff>
cpus|cpus="all,^0-6"|paravane,cpu-affinity = <0xffffff80 0xffffffff>
cpus|cpus="0, 2"|paravane,cpu-affinity = <0x05 0x00>
cpus|cpus="nodes:0"|-paravane,cpu-affinity
cpus|cpus="node:0,^2"|paravane,cpu-affinity = <0xfffffffb 0xffffffff>
cpus|cpus="all,^node:1"|-paravane,cpu-affinity
cpus|cpus="nodes:0-3,^node:2"|-paravane,cpu-affinity
cpus|cpus="1,node:1,^6"|paravane,cpu-affinity = <0x02 0x00>
cpus|cpus="node:3"|~"node:3" names only CPUs that no machine here has|alpha {
cpus|cpus="70-80"|~"70-80" names only CPUs that no machine here has|alpha {
cpus|cpus="2-200"|paravane,cpu-affinity = <0xfffffffc 0xffffffff>
cpus|cpus="0-99999999999"|-paravane,cpu-affinity
cpus|cpus=["2", "2"]|paravane,cpu-affinity = <0x04 0x00>
cpus|cpus=[2, 2, 7]|paravane,cpu-affinity = <0x04 0x00>
cpus|cpus=["2", "3-8,^5"]|~has different CPUs for the vCPUs|paravane,cpu-affinity = <0x1dc 0x00>
cpus|cpus=["2"]|~has different CPUs for the vCPUs|alpha {
cpus|cpus="3-1"|!"3-1" is no list of CPUs
cpus|cpus="^all"|!"^all" is no list of CPUs
cpus|cpus="1x"|!"1x" is no list of CPUs
cpus|cpus="1-"|!"1-" is no list of CPUs
cpus|cpus="two"|!"two" is no list of CPUs
cpus|cpus=""|!"" names no CPU
cpus|cpus="^2"|!"^2" names no CPU
cpus|cpus=[["1"]]|!has an element that is neither
cpu_weight|cpu_weight=512|paravane,cpu-weight = <0x200>
cpu_weight|cpu_weight=65535|paravane,cpu-weight = <0xffff>
cpu_weight|cpu_weight=65536|!has to be a number from 1 to 65535
cpu_weight|cpu_weight=0|!has to be a number from 1 to 65535
cap|cap=50|paravane,cpu-cap = <0x32>
cap|cap=0|-paravane,cpu-cap
cap|cap=200|paravane,cpu-cap = <0xc8>
cap|cap=201|!has to be a number from 0 to 200
uuid|uuid="00112233-4455-6677-8899-AABBCCDDEEFF"|domain-uuid = <0x112233 0x44556677 0x8899aabb 0xccddeeff>
uuid|uuid="12"|!"12" is no UUID
uuid|uuid="00112233-4455-6677-8899-AABBCCDDEEFFF"|!"00112233-4455-6677-8899-AABBCCDDEEFFF" is no UUID
on_poweroff|on_poweroff="preserve"|paravane,on-poweroff = "preserve"
on_reboot|on_reboot="destroy"|paravane,on-reboot = "destroy"
on_watchdog|on_watchdog="restart"|paravane,on-watchdog = "restart"
on_crash|on_crash="rename-restart"|~"rename-restart" is restart|paravane,on-crash = "restart"
on_crash|on_crash="coredump-destroy"|~"coredump-destroy" is destroy|paravane,on-crash = "destroy"
on_crash|on_crash="coredump-restart"|~"coredump-restart" is restart|paravane,on-crash = "restart"
on_crash|on_crash="soft-reset"|~"soft-reset" is ignored|alpha {
on_crash|on_crash="explode"|!"explode" is not served; write
on_crash|on_crash=1|!"1" is not served; write
on_crash|on_crash=["destroy"]|!has to be a text
ROWS
for key in $(keys SERVED); do
    grep -qx "$key" "$work/tested"
    result $? "there is a row for $key"
done

# The line is found behind lists, strings and comments of every shape.
cat >"$work/b.cfg" <<CFG
# memory = "a"
name = 'b' ; kernel = "$sample"
vif = [ 'mac=00:16:3e:00:00:01, vcpus=9', # disk=[
        "memory=x" ]


CFG
printf 'extra = "ends in a backslash \\\\"\nmemory = "much" # text\n' >>"$work/b.cfg"
ask 'a line behind much' 15 "$paravane" run --print-command "$work/b.cfg"
told 'its number' 'b.cfg:8: memory= has to be a number'

printf 'name="c"\nkernel="%s"\ncpus="4-7"\n' "$sample" >"$work/c.cfg"
ask 'CPUs that this machine does not have' 0 "$paravane" run --print-command --hypervisor "$work/hypervisor" "$work/c.cfg"
told 'are warned about' "warning: domain c: cpus= names none of the machine's 1 CPUs"
cpus() { # LIST: on two CPUs
    printf 'name="c"\nkernel="%s"\ncpus="%s"\n' "$sample" "$1" >"$work/c.cfg"
    ask "cpus=\"$1\" on two CPUs" 0 "$paravane" run --print-command --hypervisor "$work/hypervisor" --cpus 2 "$work/c.cfg"
}
cpus 1,5
told 'some of them: the sentence' 'warning: domain c: cpus= names CPUs up to 5, and the machine has 2, so its vCPUs run on the others that it names; raise --cpus'
for list in all,^1 0-1 0; do
    cpus "$list"
    [ ! -s "$err" ]
    result $? "nothing is said about $list"
done
plan
