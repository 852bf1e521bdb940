#!/bin/sh
# The one-line demo, `paravane run --linux`: the kernel it finds, the initramfs it packs, the shell it gives.
#   test-demo.sh BUILD
set -u
. "$(dirname "$0")/tap.sh"
demo="$paravane run -q --timeout 200 --linux"

# A named kernel is not replaced by another, and what is added exists, or one sentence says what to do.
ask 'a kernel that is not there' 10 env PARAVANE_LINUX=/nowhere/vmlinuz $demo
told 'is named' '/nowhere/vmlinuz'
ask 'an addition that is not there' 10 $demo --add "$work/nothing" "$sample"
told 'is named, too' "$work/nothing"

# The newest by version order, and readable: 6.10 is newer than 6.9, and neither is an ELF file.
mkdir -p "$work/tools" "$work/oracle/guests/a/boot" "$work/hypervisor"
cp "$paravane" "$work/tools/paravane"
: >"$work/hypervisor/paravane"
: >"$work/oracle/guests/a/boot/vmlinuz-6.9.0-1-amd64"
: >"$work/oracle/guests/a/boot/vmlinuz-6.10.0-1-amd64"
if ls /boot/vmlinuz-* >"$out" 2>&1; then
    echo "ok $((asked += 1)) - the newest one is taken # SKIP this machine has kernels of its own"
else
    ask 'files that are no kernels' 11 "$work/tools/paravane" run --linux
    told 'the newest one is taken' vmlinuz-6.10.0-1-amd64
fi

mkdir -p "$work/more/inner"
echo 'a word' >"$work/more/inner/file"
ln -s file "$work/more/inner/link"
ask 'a shell that fails is a guest that fails' 1 $demo -c 2 --add "$work/more:/added/here" --add "$work/more/inner/file" \
    --input 'cat /added/here/inner/link; cmp /file /added/here/inner/file && echo same; grep -c ^processor /proc/cpuinfo\nps | grep -c init; id -un; exit 3'
says 'its message' 'init exited with status 3'
says 'the machine is described' ' on xen, 2 CPU, '
says 'a folder was added, with its link' 'a word'
says 'and a file, in the root' 'same'
says 'root has a name' 'root'

# Linux finds what was added as it was: one file of two names, modes, a pipe.
mkdir -p "$work/kinds/sticky"
chmod 1777 "$work/kinds/sticky"
echo shared >"$work/kinds/a"
ln "$work/kinds/a" "$work/kinds/sticky/b"
mkfifo -m 640 "$work/kinds/pipe"
ask 'links, modes and a pipe' 0 $demo --add "$work/kinds" --add "$work/kinds/a:/etc/more" \
    --input 'cd /kinds; stat -c "%n %a %h %F" a sticky pipe; cat sticky/b /etc/more; exit 0'
says 'one file with three names' 'a 644 3 regular file'
says 'a sticky folder' 'sticky 1777 2 directory'
says 'a pipe' 'pipe 640 1 fifo'
[ "$(tr -d '\r' <"$out" | grep -c '^shared$')" = 2 ]
result $? 'its content by the other two'

# Debian's kernels are stripped, but carry the names of their functions with them.
for kernel in "$build"/oracle/guests/*/boot/vmlinuz-*; do
    [ -e "$kernel" ] || continue
    ask "a trace of $(basename "$kernel")" 0 "$paravane" strace -e XENVER_get_features -o "$work/trace" --timeout 200 --input exit --linux "$kernel"
    holds "$work/trace" 'says who called' 'get_features, {word=0}) = 0 {bits=0x120e0}  <ffffffff'
    holds "$work/trace" 'by name' '> xen_setup_features+0x'
done

# The machine ends as people end theirs.
while read -r word said; do
    ask "$word at the prompt" 0 "$paravane" run --timeout 200 --linux --input "$word"
    told "$word: the domain's end" "d1 shut down: $said"
done <<'WORDS'
poweroff poweroff
halt poweroff
reboot reboot
WORDS

# The keyboard: Ctrl-C ends a process and not the shell, Ctrl-Z stops one; the window has a size; what a person typed last is no verdict.
cat >"$work/keys" <<'EOS'
set timeout 100
set stty_init "rows 33 cols 77"
proc want {text} { expect $text {} timeout { puts "no $text"; exit 9 } eof { puts "end, no $text"; exit 9 } }
eval spawn $argv
want "exit powers off"
want "~ #"
send "stty size; cat\r"
want "33 77"
want "\n"
send "echoed\r"
want "echoed"
want "echoed"
send "\x03"
want "~ #"
send "sh -c 'echo u\$((3-3))p; sleep 1000'\r"
want "u0p"
send "\x1a"
want "Stopped"
send "kill %1; echo a\$((40+2))b\r"
want "a42b"
send "false\r"
want "~ #"
send "exit\r"
want "~ #"
send "exit\r"
expect eof
exit [lindex [wait] 3]
EOS
ask 'keys do what they do on a terminal' 0 expect -f "$work/keys" $demo
says 'and end the machine in order' 'System halted'

# Our own guest's window has the same size.
cat >"$work/keys" <<'EOS'
set timeout 100
set stty_init "rows 33 cols 77"
eval spawn $argv
expect "# " {} timeout { puts "no prompt"; exit 9 }
send "stty size\r"
expect "33 77" {} timeout { puts "no size"; exit 9 }
send "exit\r"
expect eof
exit [lindex [wait] 3]
EOS
ask "pv-guest's window has the terminal's size" 0 expect -f "$work/keys" "$paravane" run --timeout 200 \
    -r "$build/pv-guest/initramfs.cpio" "$build/pv-guest/pv-guest"

# The same on Xen, as its first domain.
ask 'on Xen, too' 0 $demo --hypervisor xen --input 'echo sum $((6*7)); exit'
says 'it computes' 'sum 42'
plan
