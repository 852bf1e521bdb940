#!/bin/sh
# Ways in which a run can end, with the smallest guest as domain 0.
#   test-verdicts.sh BUILD paravane|xen
# The same questions to both hypervisors: whoever drives Xen this way can drive Paravane.
set -u
. "$(dirname "$0")/tap.sh"
which=$2

run() { "$paravane" run -q --timeout 100 --hypervisor "$which" --dom0 "$@"; }

ask 'an image that has the section __xen_guest, and no notes' 0 run "$sample-section" say:no_notes~ poweroff
says 'it runs' 'no notes'
ask 'poweroff is a good end' 0 run "$sample" say:hello_world~ poweroff
says 'what it said' 'hello world'
[ "$(cat "$out")" = 'hello world' ]
result $? 'and nothing else'
ask 'so is reboot' 0 run "$sample" say:hi~ reboot
ask 'crash is not' 20 run "$sample" say:hi~ crash
told 'the sentence' 'a domain crashed'
ask 'nor is a fault without a handler' 20 run "$sample" say:hi~ fault
ask 'expected, it is' 0 run --expect GUEST_CRASHED "$sample" fault
ask 'a crash that was expected and did not come' 1 run --expect 20 "$sample" poweroff
# How long a machine takes to boot is not the question: again with more time until it has spoken.
for seconds in 3 10 30 100; do
    run --timeout $seconds "$sample" say:still_here~ spin >"$out" 2>"$err" </dev/null
    status=$?
    [ $status = 22 ] && ! grep -q 'still here' "$out" || break
done
judge 'a guest that does not end' 22 $status
told 'the last line is quoted' 'the last line was "still here"'

ask 'TAP that is good' 0 run --tap "$sample" say:noise~1..2~ok_1_-_one~ok_2_#_SKIP_two~
says 'TAP passes' 'ok 1 - one'
says 'noise is a comment' '# noise'
ask 'TAP with a failure' 1 run --tap "$sample" say:1..2~ok_1~not_ok_2~
ask 'TAP without a plan' 1 run --tap "$sample" say:ok_1~
ask 'TAP that is cut off' 1 run --tap "$sample" say:1..3~ok_1~
ask 'TAP, and then a crash' 20 run --tap "$sample" say:1..1~ok_1~ fault
ask 'TAP, and then a crash, as expected' 0 run --tap --expect GUEST_CRASHED "$sample" say:1..1~ok_1~ fault
ask 'a status of init' 1 run "$sample" say:init_exited_with_status_3~
told 'is told' "the guest's init exited with status 3"

# A slow reader, which echoes: long lines must arrive whole, in order.
long=$(printf '%0500d' 7)
ask 'typing a text' 0 run --input "one\\ntwo words\\n$long\\nexit" "$sample" shell
says 'two words' 'length 9'
says 'and 500 bytes in one line' 'length 500'
printf 'abc\n' >"$work/input"
run "$sample" shell <"$work/input" >"$out" 2>"$err"
judge 'typing stdin, whose end ends the shell' 0 $?
says 'what it read' 'length 3'
ask 'typing a file' 0 run --input "$work/input" "$sample" shell
says 'what it read, too' 'length 3'
ask 'typing a path of which there is no file' 0 run --input /no/such/file "$sample" shell
told 'is not silent' 'there is no file /no/such/file: this is what is typed'

ask 'a log' 0 run --log "$work/log" "$sample" say:logged~
holds "$work/log" 'has the guest' 'logged'
grep -q -e '^(XEN) ' -e '^(PV) ' "$work/log"
result $? 'and the hypervisor'

# Signals: the tool says 130, and QEMU is gone.
cat >"$work/qemu" <<END
#!/bin/sh
echo \$\$ >"$work/pid"
exec qemu-system-x86_64 "\$@"
END
chmod +x "$work/qemu"
wait_for() { # WHAT COMMAND...: at most 100 s
    for _ in $(seq 1000); do
        "$@" && return 0
        sleep 0.1
    done
    echo "# waited 100 s for: $*"
    return 1
}
has_said() { grep -q "$1" "$out"; }
gone() { ! kill -0 "$(cat "$work/pid")" 2>/dev/null; }
for signal in INT TERM KILL; do
    PARAVANE_QEMU=$work/qemu "$paravane" run -q --hypervisor "$which" --dom0 "$sample" say:up~ spin \
        >"$out" 2>"$err" </dev/null &
    tool=$!
    wait_for has_said up
    kill -s $signal $tool
    wait $tool
    status=$?
    [ $signal = KILL ] || judge "SIG$signal ends it" 130 $status
    wait_for gone
    result $? "QEMU is gone after SIG$signal"
done

# A terminal: keys go to the guest, Ctrl-] ends it.
cat >"$work/terminal" <<'END'
set timeout 100
log_user 0
spawn {*}$argv
expect "> " {} timeout { puts "no prompt in 100 s"; exit 1 }
send "hello\r"
expect "length 5" {} timeout { puts "no answer in 100 s"; exit 1 }
send "\035"
expect eof {} timeout { puts "no end in 100 s"; exit 1 }
exit [lindex [wait] 3]
END
ask 'on a terminal, Ctrl-] ends it' 130 \
    expect -f "$work/terminal" "$paravane" run -q --hypervisor "$which" --dom0 "$sample" shell
plan
