#!/bin/sh
# Is pv-guest domain 0 for the unmodified toolstack of Debian's Xen 4.17, on Paravane as on Xen?
#   test-xl.sh BUILD
# xenstored, xenconsoled and xl run in it, side by side on both.  Of what xl prints, numbers that belong to one machine or
# one moment are made alike first.  tools/setup --dom0 fetches them; without, or without Xen, there is nothing to ask.
set -u
. "$(dirname "$0")/../boot/tap.sh"
initramfs=$build/pv-guest/initramfs.cpio

if ! [ -e "$build/oracle/dom0/tree" ] || ! [ -e "$build/oracle/xen-4.17" ]; then
    echo "ok 1 - xl on pv-guest # SKIP tools/setup --dom0 has not fetched it"
    echo 1..1
    exit
fi

cat >"$work/commands" <<'END'
xl list
echo "== up $(cut -d ' ' -f 1 /proc/uptime) s"
for verb in info list 'list -v' vcpu-list uptime sched-credit2 cpupool-list 'vcpu-pin 0 0 0' 'domid Domain-0' 'domname 0' \
    'domid nobody' 'vcpu-pin 0 7 0' 'destroy nobody' 'list 5'; do
    echo "== xl $verb"
    xl $verb 2>&1
    echo "== status $?"
done
echo "== store"
xenstore-write /local/domain/0/note 'kept' && xenstore-read /local/domain/0/note
xenstore-rm /local/domain/0/note && xenstore-exists /local/domain/0/note
echo "== status $?"
xenstore-ls -f /local/domain/0
echo "== daemons"
for name in xenstored xenconsoled; do
    kill -0 "$(cat /run/$name.pid)" && echo "$name runs"
done
echo "== questions"
check only privcmd
echo "== end"
END

boot() { # NAME OPTIONS...
    name=$1
    shift
    status=0
    "$paravane" run --xl "$@" -q -m 128 --timeout 600 -r "$initramfs" --add "$work/commands:/commands" \
        "$build/pv-guest/pv-guest" quiet >"$work/$name" 2>"$work/$name.err" </dev/null || status=$?
    sed -i 's/\r//g' "$work/$name"
    echo $status >"$work/$name.status"
}

alike() {
    sed -n '/^== xl info/,/^== end/p' "$1" |
        sed -e 's/^\(cpu_mhz\|hw_caps\|virt_caps\|total_memory\|free_memory\|xen_extra\|xen_version\|xen_caps\|xen_changeset\|xen_commandline\|cc_[a-z_]*\|build_id\) *:.*/\1/' \
            -e 's/ *[0-9][0-9]*\.[0-9]\( \|$\)/ TIME\1/' -e 's/[0-9]*:[0-9][0-9]:[0-9][0-9]/TIME/' -e 's/[rb-]-----/STATE/'
}

boot ours --icount &
boot xen --hypervisor xen
wait
judge 'domain 0 ends well' 0 "$(cat "$work/ours.status")"
for where in ours xen; do
    grep -q '^== end' "$work/$where"
    result $? "xl was asked on $where"
    alike "$work/$where" >"$work/$where.alike"
done
diff "$work/xen.alike" "$work/ours.alike" >"$work/diff"
result $? 'xl and the store say the same on both (< Xen, > here)'
comment <"$work/diff"
grep -q '^Domain-0  *0  *128  *1  *r-----  *[0-9.]*$' "$work/ours"
result $? 'xl list shows domain 0'
up=$(sed -n 's/^== up \([0-9.]*\) s/\1/p' "$work/ours")
awk "BEGIN { exit !(${up:-99} < 2) }"
result $? 'and does so within 2 s of the first instruction (a second is 10^9)'
echo "# after $up s"
[ "$(grep -c ' runs$' "$work/ours")" = 2 ]
result $? 'xenstored and xenconsoled run'
[ "$(grep -c '^ok' "$work/ours")" = 17 ] && ! grep -q '^not ok' "$work/ours"
result $? 'the files in /dev/xen refuse what they should'
plan
