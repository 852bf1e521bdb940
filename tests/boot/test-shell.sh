#!/bin/sh
# The shell session that the README promises, on our guest.
#   test-shell.sh BUILD paravane|xen
set -u
. "$(dirname "$0")/tap.sh"
which=$2
guest=$build/pv-guest/pv-guest
initramfs=$build/pv-guest/initramfs.cpio

printf 'uname -a; cat /etc/motd | wc -l; echo ok $((6*7)); exit\n' >"$work/input"
"$paravane" run --timeout 100 --hypervisor "$which" -r "$initramfs" "$guest" \
    <"$work/input" >"$out" 2>"$err"
judge 'the session ends well' 0 $?
says 'arithmetic and echo' 'ok 42'
grep -q '^[0-9][0-9]*$' "$out"
result $? 'a pipe of two programs'

printf 'echo a b c | tr " " "\\n" | sort -r\nfor i in 1 2 3; do echo n$i; done\nfalse || echo "or"\ncat\nline one\nline two\n\004echo done\nexit 0\n' \
    >"$work/input"
"$paravane" run -q --timeout 100 --hypervisor "$which" -r "$initramfs" "$guest" \
    <"$work/input" >"$out" 2>"$err"
judge 'a longer session ends well' 0 $?
for line in c n3 or 'line two' 'done'; do
    says "it printed $line" "$line"
done

printf 'exit 3\n' >"$work/input"
"$paravane" run -q --timeout 100 --hypervisor "$which" -r "$initramfs" "$guest" \
    <"$work/input" >"$out" 2>"$err"
judge "the shell's exit status is a failure of the guest" 1 $?
told 'and is told' 'exited with status 3'

# The ways in which people switch a machine off.
for command in poweroff halt reboot; do
    printf '%s\n' "$command" >"$work/input"
    "$paravane" run --timeout 100 --hypervisor "$which" -r "$initramfs" "$guest" \
        <"$work/input" >"$out" 2>"$err"
    judge "$command at the prompt ends the machine" 0 $?
    [ "$which" = xen ] && continue
    [ $command = reboot ] || command=poweroff
    told 'as it says' "d1 shut down: $command"
done

printf 'echo I am $(whoami)\nsu user -c "id; touch /etc/x || echo refused"\nexit\n' >"$work/input"
"$paravane" run -q --timeout 100 --hypervisor "$which" -r "$initramfs" "$guest" \
    <"$work/input" >"$out" 2>"$err"
judge 'somebody else than root' 0 $?
says 'root has a name' 'I am root'
says 'has a name and a number of his own' 'uid=1000(user) gid=1000(user)'
says 'and may not write to /etc' refused

# Keys end programs here.
printf 'grep SigIgn /proc/self/status\nsh -c "kill -INT \\$\\$; echo survived"\necho interrupted with $?\nexit 0\n' >"$work/input"
"$paravane" run -q --timeout 100 --hypervisor "$which" -r "$initramfs" "$guest" \
    <"$work/input" >"$out" 2>"$err"
judge 'a session with an interrupt ends well' 0 $?
grep -q '^SigIgn:[[:space:]]*0*$' "$out"
result $? 'programs ignore no signal'
says 'and an interrupt ends one' 'interrupted with 130'
plan
