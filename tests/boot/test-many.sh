#!/bin/sh
# Hundreds of domains in one machine of 4 GiB: test-many.sh BUILD
# 500 of the smallest guest start, each answers what is typed to it and ends when told to, nothing is
# lost; what a domain costs to build and to keep does not grow with their number.
set -u
. "$(dirname "$0")/tap.sh"
many=500

start="--machine-memory 4096 -m 2 --timeout 500 $build/tests/guest/echo"

cat >"$work/talk" <<'EXPECT'
set timeout 200
log_user 0
set many [lindex $argv 0]
proc lost {what} { puts "lost: $what"; exit 1 }
proc each {pattern} {
    global many spawn_id
    for {set i 0} {$i < $many} {incr i} {
        expect -re $pattern {} timeout { lost "$i times $pattern" } eof { lost "the machine, $i times $pattern" }
    }
}
spawn -noecho {*}[lrange $argv 1 end]
each {d[0-9]+\) echo: ready}
puts "all are ready"
for {set i 0} {$i < $many} {incr i} { send "ping $i\r\001\001\001" }
each {d[0-9]+\) echo: ping [0-9]+}
puts "all answered"
send "m"
expect -re {memory: ([^\r]*)} { puts "memory: $expect_out(1,string)" } timeout { lost "key m" }
send "a"
expect -re {audit: ([0-9]+)} { puts "audit: $expect_out(1,string)" } timeout { lost "key a" }
set ended 0
while {$ended < $many} {
    send "\001\001\001"
    expect -re {input goes to ([a-z0-9]+)} {} timeout { lost "the focus after $ended ends" }
    if {$expect_out(1,string) eq "the"} continue ;# hypervisor
    send "quit\r"
    expect -re {d[0-9]+ shut down: poweroff} { incr ended } timeout { lost "an end after $ended" } eof { break }
}
expect eof {} timeout { lost "the end of the machine" }
lassign [wait] pid id error status
puts "ended with $status after $ended"
EXPECT

# shellcheck disable=SC2086
ask "$many guests, talked to" 0 expect "$work/talk" "$many" "$paravane" run --copies "$many" $start
says 'all of them answer' 'all answered'
says 'the audit of all their page tables finds nothing' 'audit: 0'
says 'they end when told to, all memory is back, and so the machine ends well' 'ended with 0'
each=$(sed -n 's/.* \([0-9]*\) each.*/\1/p' "$out")
[ "${each:-64}" -lt 64 ]
result $? "the hypervisor spends less than 64 KiB on each: ${each:-nothing said}"

# Instructions from the loader to the first guest, for so many guests.
boot() {
    # shellcheck disable=SC2086
    expect "$work/boot" "$paravane" run --icount --copies "$1" $start | sed -n 's/.*boot took \([0-9]*\) us.*/\1/p'
}
cat >"$work/boot" <<'EXPECT'
set timeout 200
spawn -noecho {*}$argv
expect -re {boot took [0-9]+ us} {} timeout { exit 1 } eof { exit 1 }
EXPECT
few=$(boot 10) some=$(boot 250) all=$(boot 490)
first=$(((some - few) * 1000 / 240)) second=$(((all - some) * 1000 / 240))
[ "$first" -gt 0 ] && [ $((second * 10)) -lt $((first * 11)) ]
result $? "building one of 250 more costs what it cost before: $first, then $second instructions"
plan
