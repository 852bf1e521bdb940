#!/bin/sh
# The window's size while our guest runs: a change reaches the terminal that its programs ask, and the group in the foreground
# gets SIGWINCH; what is typed arrives as before, and while the keyboard is the hypervisor's it is not told sizes, which are keys to it.
#   test-window.sh BUILD paravane|xen|native
set -u
. "$(dirname "$0")/tap.sh"
case $2 in
native) set -- "$paravane" run --native --timeout 300 -r "$build/pv-guest/initramfs.cpio" "$build/pv-guest/pv-guest-native" quiet ;;
*) set -- "$paravane" run --hypervisor "$2" --timeout 300 -r "$build/pv-guest/initramfs.cpio" "$build/pv-guest/pv-guest" quiet ;;
esac

cat >"$work/keys" <<'EXPECT'
set timeout 250
set stty_init "rows 33 cols 77"
set moves [lindex $argv 0]
eval spawn [lrange $argv 1 end]
proc want {text} { expect $text {} timeout { puts "no $text in 250 s"; exit 9 } eof { puts "end, no $text"; exit 9 } }
proc window {rows columns} {
    global spawn_out
    exec stty rows $rows cols $columns <$spawn_out(slave,name)
}
proc prompt {} { want "# " }

prompt
send "stty size\r"
want "33 77"
prompt

# A program in the foreground is told, at once.
send "sh -c 'trap \"stty size\" WINCH; sleep 1000 & echo wai\$((1))ting; while :; do wait; done'\r"
want "wai1ting"
window 40 101
want "40 101"
send "\003"
prompt

# No byte that is typed is lost or taken for another.
send "stty raw -echo; echo re\$((1))ady; od -An -tx1 -N6; stty sane\r"
want "re1ady"
send "a\020\020b\020\033"
want "61 10 10 62 10 1b"
prompt

# The hypervisor has the keyboard: 82 columns would be R, reboot, and 67 C, crash.
if {$moves} {
    send "\001\001\001"
    expect "input goes to the hypervisor" {} "Serial input to Xen" {} timeout { puts "the keyboard did not move"; exit 9 }
    window 67 82
    window 82 67
    send "\001\001\001"
    expect "input goes to d" {} "Serial input to DOM0" {} timeout { puts "the keyboard did not come back"; exit 9 }
    send "\r"
    prompt
    send "stty size\r"
    want "82 67"
    prompt
}

window 300 257
send "stty size\r"
want "300 257"
prompt
send "exit\r"
expect eof
exit [lindex [wait] 3]
EXPECT
case "$*" in
*--native*) moves=0 ;;
*) moves=1 ;;
esac
ask 'changes are told, keys are keys' 0 expect -f "$work/keys" "$moves" "$@"
! grep -qF '[?2048' "$out"
result $? 'the question does not show'

# Nobody has a window: nothing is asked or told.
printf 'exit\n' | "$@" >"$out" 2>"$err"
judge 'without a terminal' 0 $?
! grep -qF '[?2048' "$out"
result $? 'nothing is asked'
plan
