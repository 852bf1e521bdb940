#!/bin/sh
# What a user of a run sees: a verdict that points to lines that are there, a last Ctrl-D that arrives, no
# questions to a terminal that is none, and a shell's job control around the tool.
#   test-sessions.sh BUILD paravane|xen
set -u
. "$(dirname "$0")/tap.sh"
which=$2
run() { "$paravane" run -q --timeout 100 --hypervisor "$which" --dom0 "$@"; }

# A verdict says "the lines above" only if there are any, also with -q.
ask 'a fault, with -q' 20 run "$sample" say:bye~ fault
told 'the sentence points up' 'a domain crashed; the lines above say where'
grep -qi '^(.*rip' "$err"
result $? 'to the registers'
ask 'the same, expected' 0 run --expect GUEST_CRASHED "$sample" say:bye~ fault
[ "$(wc -l <"$err")" = 1 ]
result $? 'needs no lines'
ask 'a guest that ends itself as a crash' 20 run "$sample" say:last_words~ crash
told 'the sentence says that' 'a domain crashed: it ended itself so'
told 'and quotes its last line' 'its last line was "last words"'
[ "$(wc -l <"$err")" = 1 ]
result $? 'and that is all'
if [ "$which" = paravane ]; then
    ask 'a machine too small, with -q' 16 "$paravane" run -q --machine-memory 16 -m 64 "$sample"
    told 'the line to which the verdict points' '(PV) cannot boot: '
    ask 'a watchdog, with -q' 20 run "$build/tests/guest/end" watchdog=1
    told 'a watchdog: the sentence' 'did not feed it'
fi

# The question where the cursor is goes to a terminal or nowhere.
escape=$(printf '\033')
ask 'a guest that asks for the cursor' 0 run "$sample" "say:a$escape[6nb$escape[6mc$escape$escape[6nd$escape[~"
[ "$(cat "$out")" = "ab$escape[6mc$escape""d$escape[" ]
result $? 'is not heard, and nothing else is left out'

# A program swallows the first Ctrl-D: it is typed again at the next prompt.
ask 'the end of the input, swallowed once' 0 run --input 'x' "$sample" deaf shell
says 'the first was' deaf

# stdin that cannot be read is told, and is its end.
run "$sample" say:here~ <"$work" >"$out" 2>"$err"
judge 'a folder as stdin' 0 $?
told 'a folder as stdin: it is told' 'warning: cannot read stdin: Is a directory'

# In the background of an interactive shell: it boots, is not stopped, and `fg` gives it the keyboard.
cat >"$work/jobs" <<'EXPECT'
set timeout 100
spawn bash --norc --noprofile -i
proc want {text} { expect $text {} timeout { puts "no $text in 100 s"; exit 1 } eof { puts "end, no $text"; exit 1 } }
send "PS1='rea''dy '\r"
want "ready "
send "$argv &\r"
want "> "
send "jobs; echo ask''ed\r"
want "Running"
want "asked"
send "fg\r"
want "the keyboard is the guest's"
send "hello\r"
want "length 5"
send "exit\r"
want "ready "
send "stty -a | grep -c ' icanon'; exit\r"
want "1"
expect eof
EXPECT
ask 'in the background, then in the foreground' 0 expect -f "$work/jobs" "$paravane" run -q --hypervisor "$which" --dom0 "$sample" shell

# The other way: stopped in the foreground it goes on in the background, and comes back.
cat >"$work/stop" <<'EXPECT'
set timeout 100
spawn bash --norc --noprofile -i
proc want {text} { expect $text {} timeout { puts "no $text in 100 s"; exit 1 } eof { puts "end, no $text"; exit 1 } }
send "PS1='rea''dy '\r"
want "ready "
send "sh -c 'echo \$\$ >$env(WORK)/tool; exec $argv'\r"
want "the keyboard is the guest's"
want "> "
exec sh -c "kill -STOP \$(cat $env(WORK)/tool)"
want "Stopped"
want "ready "
send "bg\r"
want "ready "
send "jobs; echo ask''ed\r"
want "Running"
want "asked"
# What waits in the terminal when it goes on is not its to read: the shell is busy, and has it.
send "fg\r"
want "exec"
exec sh -c "kill -STOP \$(cat $env(WORK)/tool)"
want "Stopped"
want "ready "
send "bg; for i in \$(seq 500); do /bin/true; done; jobs\r"
send "echo aga''in\r"
want "Running"
want "again"
want "ready "
send "fg\r"
want "exec"
send "hello\r"
want "length 5"
send "\035"
want "ready "
send "exit\r"
expect eof
EXPECT
ask 'stopped, in the background, in the foreground' 0 env WORK="$work" expect -f "$work/stop" \
    "$paravane" run -q --hypervisor "$which" --dom0 "$sample" shell
plan
