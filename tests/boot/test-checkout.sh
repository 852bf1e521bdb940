#!/bin/sh
# The scripts in checkouts of all sorts: read-only or another user's, with odd characters in its path, used by two at once.
#   test-checkout.sh BUILD SOURCE
set -u
. "$(dirname "$0")/tap.sh"
source=$2
root=$work/root
mkdir -p "$root/tools" "$root/build" "$work/bin"
cp "$source/tools/build" "$root/tools/"
: >"$root/meson.build"
: >"$root/build/build.ninja"
: >"$root/build/.ninja_log"
chmod 755 "$work"

# Two at once: one builds, the other waits.  A meson that tells whether it was alone.
cat >"$work/bin/meson" <<MESON
#!/bin/sh
echo ran >>"$work/runs"
mkdir "$work/busy" || echo two >>"$work/overlaps"
i=0
while [ \$i -lt 200 ] && ! grep -q waiting "$work/err2" 2>/dev/null; do
    sleep 0.1
    i=\$((i + 1))
done
rmdir "$work/busy"
MESON
chmod +x "$work/bin/meson"
PATH=$work/bin:$PATH "$root/tools/build" >"$work/out1" 2>"$work/err1" &
one=$!
for _ in $(seq 1000); do
    [ ! -e "$work/runs" ] || break
    sleep 0.1
done
PATH=$work/bin:$PATH "$root/tools/build" >"$work/out2" 2>"$work/err2"
judge 'two builds at once: the second' 0 $?
wait $one
judge 'two builds at once: the first' 0 $?
[ "$(wc -l <"$work/runs")" = 2 ] && [ ! -e "$work/overlaps" ]
result $? 'one after the other'
holds "$work/err2" 'the second says that it waits' 'build: waiting for another build'

# Another user's: it may be read, and nothing can be written.
as_other() {
    if [ "$(id -u)" = 0 ]; then
        setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
    else
        "$@"
    fi
}
chmod -R a+rX "$root"
chmod a-w "$root/build" "$root/build/"* "$root/build/.ninja_log"
rm -f "$work/runs"
ask 'a checkout that is built and cannot be written' 0 as_other env PATH="$work/bin:$PATH" "$root/tools/build"
[ ! -s "$err" ] && [ ! -e "$work/runs" ]
result $? 'nothing is said or built'
touch -d '1 hour' "$root/meson.build"
ask 'the same, changed since' 1 as_other env PATH="$work/bin:$PATH" "$root/tools/build"
told 'what has changed, and what to do' "$root/meson.build has changed, and $root/build cannot be written; name a folder that can: PARAVANE_BUILD=FOLDER"
chmod 700 "$root/build"
rm -r "$root/build"
chmod a-w "$root"
ask 'one that is not built' 1 as_other env PATH="$work/bin:$PATH" "$root/tools/build"
told 'what to do' "$root/build cannot be written; name a folder that can: PARAVANE_BUILD=FOLDER"
chmod 755 "$root"

# A comma and a space in the path: each way of naming a file to compiler and linker is in these four.
odd="$work/odd, path"
mkdir "$odd"
tar -C "$source" --exclude=./build --exclude='./build?*' --exclude=./.git -cf - . | tar -C "$odd" -xf -
{ meson setup "$odd/build" "$odd" && ninja -C "$odd/build" hypervisor/paravane pv-guest/pv-guest tools/paravane tests/boot/sample tests/guest/start; } \
    >"$work/build.log" 2>&1
judge 'a path with a comma and a space: it builds' 0 $?
grep -i -A3 error "$work/build.log" | head -n 20 | comment
ask 'and runs' 0 "$odd/build/tools/paravane" run -q --dom0 --timeout 100 "$odd/build/tests/boot/sample" say:here~
says 'and says' here
plan
