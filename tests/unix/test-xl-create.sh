#!/bin/sh
# A domain's life by the unmodified xl of Debian's Xen 4.17, with pv-guest as domain 0: here and on Xen.
#   test-xl-create.sh BUILD
# The domain is pv-guest, too; its console and its store are xenconsoled's and xenstored's.  All waits are bounded.
set -u
. "$(dirname "$0")/../boot/tap.sh"
initramfs=$build/pv-guest/initramfs.cpio
kernel=$build/pv-guest/pv-guest

if ! [ -e "$build/oracle/dom0/tree" ] || ! [ -e "$build/oracle/xen-4.17" ]; then
    echo "ok 1 - xl create on pv-guest # SKIP tools/setup --dom0 has not fetched it"
    echo 1..1
    exit
fi

cat >"$work/g.cfg" <<'END'
name = "g"
kernel = "/guest/kernel"
ramdisk = "/guest/initramfs"
memory = 32
END

cat >"$work/commands" <<'END'
until_within() { # SECONDS COMMAND...
    left=$(($1 * 20))
    shift
    until "$@" >/dev/null 2>&1; do
        left=$((left - 1))
        [ $left -gt 0 ] || { echo "in vain: $*"; return; }
        usleep 50000
    done
}
alone() { [ "$(xl list | wc -l)" = 2 ]; }
up() { [ "$(xenstore-read "/local/domain/$1/control/feature-poweroff")" = 1 ]; }
has() { [ "$(xl list "$1" | awk 'NR == 2 { print $3 }')" = "$2" ]; }
step() { # COMMAND...: and its status
    "$@" 2>&1
    echo "== $*: $?"
}
step xl create -q /guest/g.cfg
until_within 60 up 1
step xl domid g
xl list g | awk 'NR == 2 { print "memory and CPUs", $3, $4 }'
step xl rename g other
step xl domname 1
step xl pause other
xl list other | awk 'NR == 2 { print "state", substr($5, 3, 1) }'
step xl unpause other
step xl mem-set other 24
until_within 60 has other 24
xl list other | awk 'NR == 2 { print "memory", $3 }'
(sleep 600 | xl console other) >/tmp/console 2>&1 &
until_within 60 grep -q BusyBox /tmp/console
echo "console: $(grep -c '^BusyBox' /tmp/console)"
step xl sysrq other h
step xl shutdown -w other
until_within 60 alone
step xl list
for i in 1 2 3 4 5; do
    xl create -q /guest/g.cfg && until_within 60 up $((i + 1)) && xl destroy g || echo "failed"
done
until_within 60 alone
xenstore-ls -f /local/domain | grep -v /local/domain/0
step xl create -q -p /guest/g.cfg
xl list g | awk 'NR == 2 { print "state", substr($5, 3, 1) }'
step xl destroy g
until_within 60 alone
sed -i 's/initramfs/nothing/' /guest/g.cfg
xl create -q /guest/g.cfg >/dev/null 2>&1
echo "== of what is not there: $?"
until_within 60 alone
echo "== end"
END

cat >"$work/right" <<'END'
== xl create -q /guest/g.cfg: 0
1
== xl domid g: 0
memory and CPUs 32 1
== xl rename g other: 0
other
== xl domname 1: 0
== xl pause other: 0
state p
== xl unpause other: 0
== xl mem-set other 24: 0
memory 24
console: 1
== xl sysrq other h: 0
Shutting down domain 1
Waiting for 1 domains
Domain 1 has been shut down, reason code 0
== xl shutdown -w other: 0
Name                                        ID   Mem VCPUs	State	Time(s)
Domain-0                                     0   128     1     r-----       TIME
== xl list: 0
== xl create -q -p /guest/g.cfg: 0
state p
== xl destroy g: 0
== of what is not there: 3
== end
END

life() { # HYPERVISOR
    ask "on $1 domain 0 ends well" 0 "$paravane" run --xl --hypervisor "$1" -q -m 128 --machine-memory 320 --timeout 900 \
        -r "$initramfs" --add "$work/g.cfg:/guest/g.cfg" --add "$kernel:/guest/kernel" \
        --add "$initramfs:/guest/initramfs" --add "$work/commands:/commands" "$kernel" quiet
    sed -e 's/\r//g' -e 's/[0-9]*\.[0-9]$/TIME/' -e '/^xenconsoled: Unable/d' "$out" | sed -n '/^== xl create/,$p' >"$work/said"
    diff "$work/right" "$work/said" >"$work/diff"
    result $? "on $1 xl makes, renames, pauses, shrinks, shuts down and destroys a domain (< right, > said)"
    comment <"$work/diff"
}

life paravane
life xen
plan
