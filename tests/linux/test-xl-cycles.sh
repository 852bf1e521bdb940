#!/bin/sh
# Is a machine on which domains come and go for ever as good as on its first day?
#   test-xl-cycles.sh BUILD [CYCLES]
# Debian's Linux is domain 0 with the unmodified xl.  CYCLES times (10) it makes a guest that does nothing, and ends it; and a
# guest that writes to its disk without a pause, and ends that in the middle.  In the end no port of domain 0's and no node of
# the store is left, the hypervisor's recount finds every frame, and the last creates cost it as many instructions as the
# second ones (the first fill caches of domain 0's), within 2%: tests/linux/calls.c counts them within xl's hypercalls.
# tools/setup --dom0 fetches xl; without it there is nothing to ask.
set -u
. "$(dirname "$0")/../boot/tap.sh"
cycles=${2:-10}

if ! [ -e "$build/oracle/dom0/tree" ]; then
    echo "ok 1 - domains come and go by xl # SKIP tools/setup --dom0 has not fetched it"
    echo 1..1
    exit
fi

echo "cycles=$cycles" >"$work/commands"
cat >>"$work/commands" <<'END'
until_true() { # COMMAND...: for some minutes at most
    tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ $tries -lt 6000 ] || { echo "in vain: $*"; return; }
        usleep 50000
    done
}
alone() { [ "$(xl list | wc -l)" = 2 ]; }
up() { [ "$(xenstore-read "/local/domain/$1/control/feature-poweroff")" = 1 ]; }
written() { # so many requests have been served, and more
    awk -v before="$1" '{ exit !($5 > before + 8) }' /sys/block/vda/stat
}
left() { # what belongs to guests
    echo "= ports $(grep -c xen-dyn /proc/interrupts)"
    echo "= nodes $(xenstore-ls -f / | wc -l)"
}
cycle() { # CONFIGURATION
    before=$(awk '{ print $5 }' /sys/block/vda/stat)
    /guest/mark
    LD_PRELOAD=/guest/marked-calls.so xl create -q "/guest/$1.cfg" || echo "failed: create"
    /guest/mark
    if [ "$1" = idle ]; then until_true up "$(xl domid g)"; else until_true written "$before"; fi
    xl destroy g || echo "failed: destroy"
    until_true alone
}
cycle idle
cycle busy
left >/tmp/first
n=1
while [ $n -lt "$cycles" ]; do
    n=$((n + 1))
    cycle idle
    cycle busy
    [ $((n % 50)) != 0 ] || echo "= $n cycles"
done
left >/tmp/last
cat /tmp/first /tmp/last
cmp /tmp/first /tmp/last && echo "== nothing is left"
echo "== $n cycles"
END

# --- the guests ------------------------------------------------------------------------------------------------

mkdir -p "$work/guest" "$work/tree/bin" "$work/tree/dev"
cp "$build/pv-guest/pv-guest" "$work/guest/kernel"
cp "$build/tests/linux/mark" "$build/tests/linux/marked-calls.so" "$work/guest/"
cp /bin/busybox "$work/tree/bin/"
for name in sh dd sync usleep sleep; do ln -s busybox "$work/tree/bin/$name"; done
cat >"$work/tree/go" <<'END'
export PATH=/bin
until [ -b /dev/xvda ]; do usleep 10000; done
while :; do
    dd if=/dev/zero of=/dev/xvda bs=65536 count=16 2>/dev/null
    sync
done
END
(cd "$work/tree" && find . | /bin/busybox cpio -o -H newc 2>/dev/null) >"$work/guest/initramfs"
config() { # NAME WORDS DISK
    cat >"$work/guest/$1.cfg" <<END
name = "g"
kernel = "/guest/kernel"
ramdisk = "/guest/initramfs"
extra = "init=/bin/$2"
memory = 32
disk = [ $3 ]
END
}
config idle 'sleep -- 1000000' ''
config busy 'sh -- /go' '"format=raw,vdev=xvda,access=w,target=/dev/vda"'
truncate -s 8M "$work/disk"

# --- the machine -----------------------------------------------------------------------------------------------

mkdir "$work/bundle"
command=$("$paravane" run --xl --icount --disk "$work/disk" --print-command --bundle "$work/bundle" \
    --add "$work/commands:/commands" --add "$work/guest:/guest")
status=0
eval "timeout $((600 + cycles * 120)) $command -plugin $build/tests/linux/calls.so,out=$work/calls" \
    >"$out" 2>"$err" </dev/null || status=$?
sed -i 's/\r//g' "$out"
judge 'the machine ends well (QEMU makes 1 of the verdict 0)' 1 "$status"
says "$cycles cycles have been done" "== $cycles cycles"
says 'no port and no node is left' '== nothing is left'
! grep -q -e '^failed' -e '^in vain' -e 'audit: ' "$out"
result $? 'nothing failed on the way, and nothing was lost'
grep -e '^failed' -e '^in vain' -e 'audit: ' -e '^= ' "$out" | comment
[ "$(grep -c '^(PV) d[0-9]* destroyed' "$out")" = $((2 * cycles)) ]
result $? 'all guests are gone'

# Phases: 0 is the boot; then each create, and what comes behind it.  One of a guest that idles, one of one that writes.
awk -v cycles="$cycles" '
    $2 != 0 { sum[$1] += $4 }
    END {
        for (i = 0; i < 2; i++) {
            second = sum[1 + 2 * i + 4]
            last = sum[1 + 2 * i + 4 * (cycles - 1)]
            print (i ? "busy" : "idle"), second, last, (second > 0 && last > 0.98 * second && last < 1.02 * second)
        }
    }' "$work/calls" >"$work/sums"
for which in idle busy; do
    [ "$(awk -v which=$which '$1 == which { print $4 }' "$work/sums")" = 1 ]
    result $? "the last create ($which) takes as many instructions of the hypervisor as the second, within 2%"
done
comment <"$work/sums"
plan
