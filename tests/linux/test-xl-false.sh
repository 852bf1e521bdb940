#!/bin/sh
# What can the backend of a virtual disk that lies do to pv-guest?  A request that fails, and no more.
#   test-xl-false.sh BUILD
# Debian's Linux is domain 0; a program there (false-backend.c) is the backend of one disk after the other, and breaks another
# rule of <xen/io/blkif.h> each time.  The guest reads the disk, prints how that ended, and goes on to the next one.
set -u
. "$(dirname "$0")/linux.sh"
. "$(dirname "$0")/xl.sh"

need_xl 'a backend that lies'

# In the order of the letters of the disks.
lies='true failed number unasked twice operation keeps index true'

cat >"$work/commands" <<'END'
until_true() { # COMMAND...: for a few minutes at most
    tries=0
    until "$@" || [ $tries -ge 1500 ]; do tries=$((tries + 1)); usleep 200000; done
}
in_state() { [ "$(xenstore-read "$1/state" 2>/dev/null)" = "$2" ]; }
xl create -q /guest/g.cfg 2>&1
xenconsole 1 </dev/null >/tmp/console 2>&1 &
number=51712
for lie in $(cat /guest/lies); do
    front=/local/domain/1/device/vbd/$number back=/local/domain/0/backend/vbd/1/$number
    xenstore-write $back "" $back/frontend $front $back/state 2
    xenstore-chmod -r $back n0 r1
    xenstore-write $front "" $front/backend $back $front/backend-id 0 $front/virtual-device $number
    xenstore-chmod -r $front n1 r0
    xenstore-write $front/state 1
    until_true in_state $front 3
    /guest/false-backend 1 $(xenstore-read $front/ring-ref) $(xenstore-read $front/event-channel) $lie &
    xenstore-write $back/sectors 2048 $back/sector-size 512 $back/info 0
    xenstore-write $back/state 4
    until_true grep -q "^GUEST $number" /tmp/console
    number=$((number + 16))
done
until_true grep -q '^GUEST ready' /tmp/console
tr -d '\r' </tmp/console
echo "== end"
END

mkdir "$work/guest" "$work/tree"
cat >"$work/go" <<'END'
until_true() { # COMMAND...: for a few minutes at most
    tries=0
    until "$@" || [ $tries -ge 30000 ]; do tries=$((tries + 1)); usleep 10000; done
}
number=51712
for letter in a b c d e f g h i; do
    until_true test -b /dev/xvd$letter
    dd if=/dev/xvd$letter of=/tmp/one bs=4096 count=1 2>/tmp/said.one &
    dd if=/dev/xvd$letter of=/tmp/two bs=4096 count=1 skip=100 2>/tmp/said.two
    two=$?
    wait $!
    one=$?
    blockdev --getsize64 /dev/xvd$letter >/dev/null 2>&1
    echo "GUEST $number: $one $two, there: $?"
    number=$((number + 16))
done
echo "GUEST ready"
END
cp "$build/pv-guest/pv-guest" "$work/guest/kernel"
cp "$build/tests/linux/false-backend" "$work/guest/"
echo "$lies" >"$work/guest/lies"
(cd "$work/tree" && /bin/busybox cpio -idm 2>/dev/null) <"$build/pv-guest/initramfs.cpio"
cp "$work/go" "$work/tree/"
(cd "$work/tree" && find . | /bin/busybox cpio -o -H newc 2>/dev/null) >"$work/guest/initramfs"
cat >"$work/guest/g.cfg" <<'END'
name = "g1"
kernel = "/guest/kernel"
ramdisk = "/guest/initramfs"
extra = "init=/bin/sh -- /go"
memory = 64
END

cat >"$work/right" <<'END'
GUEST 51712: 0 0, there: 0
GUEST 51728: 1 1, there: 0
xvdc: the backend answers what was not asked; the disk is stopped
GUEST 51744: 1 1, there: 1
xvdd: the backend answers what was not asked; the disk is stopped
GUEST 51760: 1 1, there: 1
xvde: the backend answers what was not asked; the disk is stopped
GUEST 51776: E E, there: 1
xvdf: the backend answers another operation than was asked; the disk is stopped
GUEST 51792: 1 1, there: 1
xvdg: the backend keeps memory that it has answered for; the disk is stopped
GUEST 51808: 1 1, there: 1
xvdh: the backend gives more answers than there are requests; the disk is stopped
GUEST 51824: 1 1, there: 1
GUEST 51840: 0 0, there: 0
GUEST ready
END

status=0
"$paravane" run --xl -q --timeout "$seconds" --add "$work/commands:/commands" --add "$work/guest:/guest" \
    >"$work/said" 2>"$work/said.err" </dev/null || status=$?
plain_text "$work/said"
judge 'domain 0 ends well' 0 "$status"
# Of two requests the first may have been answered before the lie.
grep -e '^GUEST' -e 'the disk is stopped' "$work/said" |
    sed 's/^\(GUEST 51776:\) \(0 1\|1 0\|1 1\),/\1 E E,/' >"$work/alike"
diff "$work/right" "$work/alike" >"$work/diff"
result $? 'each lie ends the use of the disk, with one sentence, and nothing else (< right, > said)'
comment <"$work/diff"
plan
