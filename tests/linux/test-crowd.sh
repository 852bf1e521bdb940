#!/bin/sh
# Two Linux and ten pv-guests at once: test-crowd.sh BUILD [SEED...]
# All answer at their shells; then they end one after the other, in an order that the seed gives, by power-off,
# reboot or crash. Each time the others still answer, no reference is wrong, and its memory is back; when
# the last has ended not a frame is missing, or the machine would end as failed.
set -u
. "$(dirname "$0")/linux.sh"
shift
[ $# != 0 ] || set -- 1
need_kernels

for flavour in cloud-amd64 amd64; do
    cat >"$work/$flavour.cfg" <<END
name = "$flavour"
kernel = "$(kernel $flavour)"
ramdisk = "$initramfs"
memory = 160
vcpus = 2
extra = "console=hvc0 quiet panic=-1 rdinit=/linux/init"
on_reboot = "destroy"
END
done
for n in 1 2 3 4 5 6 7 8 9 10; do
    cat >"$work/unix$n.cfg" <<END
name = "unix$n"
kernel = "$build/pv-guest/pv-guest"
ramdisk = "$build/pv-guest/initramfs.cpio"
memory = 16
vcpus = $((n % 3 + 1))
on_reboot = "destroy"
END
done
files="$work/cloud-amd64.cfg $work/amd64.cfg"
for n in 1 2 3 4 5 6 7 8 9 10; do files="$files $work/unix$n.cfg"; done

cat >"$work/talk" <<'EXPECT'
set timeout 300
log_user [info exists env(LOUD)]
set state [lindex $argv 0]
spawn -noecho {*}[lrange $argv 1 end]
expect_before timeout { puts "lost: nothing came for $timeout s"; exit 1 }
expect "boot took"

# Who has the keyboard now; "the" is the hypervisor.
proc next {} {
    send "\001\001\001"
    expect {
        -re {input goes to (the|d[0-9]+)} { return $expect_out(1,string) }
        eof { puts "lost: the machine"; exit 1 }
    }
}
proc go_to {who} {
    for {set i 0} {$i < 20} {incr i} { if {[next] eq $who} return }
    puts "lost: the keyboard does not go to $who"
    exit 1
}
# The answer differs from what is typed, which the terminal echoes.
proc answers {who} {
    global asked
    incr asked
    go_to $who
    send "echo still \$(($asked + 1000)) here\r"
    expect -re "$who\\) .*still [expr $asked + 1000] here"
}
proc memory {} {
    go_to the
    # The others go on while it counts: only what it finds every time is wrong.
    for {set try 0} {$try < 10} {incr try} {
        send "a"
        expect -re {audit: ([0-9]+) differences\r}
        if {$expect_out(1,string) eq "0"} break
    }
    if {$try == 10} { puts "lost: the audit finds $expect_out(1,string) differences"; exit 1 }
    send "m"
    expect -re {memory: ([0-9]+) KiB are free, ([0-9]+) domains have ([0-9]+) KiB, the hypervisor spends ([0-9]+) KiB}
    return [list $expect_out(1,string) $expect_out(2,string) $expect_out(3,string) $expect_out(4,string)]
}
proc random {n} {
    global state
    set state [expr ($state * 1103515245 + 12345) % 2147483648]
    return [expr ($state >> 16) % $n]
}

set asked 0
for {set i 1} {$i <= 12} {incr i} { lappend alive d$i }
# Linux forgets what was typed before its shell was there.
for {set up 0} {$up < 2} {incr up} { expect -re {d[12]\) # } }
foreach who $alive { answers $who }
puts "all twelve answer"
lassign [memory] free domains theirs spent
while {[llength $alive]} {
    set i [random [llength $alive]]
    set who [lindex $alive $i]
    set alive [lreplace $alive $i $i]
    set how [lindex {off crash reboot} [random 3]]
    go_to $who
    send "[dict get {off {poweroff -f} reboot {reboot -f} crash {echo c >/proc/sysrq-trigger}} $how]\r"
    expect -re "$who shut down: (\[a-z]+)"
    set reason $expect_out(1,string)
    puts "$who: $how, $reason"
    if {$reason ne [dict get {off poweroff reboot reboot crash crash} $how]} { puts "lost: the reason"; exit 1 }
    if {![llength $alive]} break
    foreach other $alive { answers $other }
    lassign [memory] free_now domains_now theirs_now spent_now
    set back [expr $free_now - $free]
    set gone [expr $theirs - $theirs_now + $spent - $spent_now]
    puts "  $back KiB are free again, $domains_now others answer"
    if {$domains_now != $domains - 1 || $spent_now > $spent || $back != $gone || $theirs_now >= $theirs} {
        puts "lost: $domains_now domains, the hypervisor spends $spent_now, then $spent KiB"
        exit 1
    }
    lassign [list $free_now $domains_now $theirs_now $spent_now] free domains theirs spent
}
expect eof
lassign [wait] pid id error status
puts "the machine ended with $status"
EXPECT

for seed; do
    # shellcheck disable=SC2086
    ask "seed $seed: twelve guests end one by one" 0 expect "$work/talk" "$seed" \
        "$paravane" run --machine-memory 768 --cpus 2 --timeout 2000 $files
    says "seed $seed: all answered at first" 'all twelve answer'
    grep -e '^d[0-9]*:' "$out" | comment
    # A crash is the run's verdict; a lost frame would be 21, the hypervisor's own failure.
    wanted=0
    grep -q ', crash$' "$out" && wanted=20
    says "seed $seed: not a frame is lost" "the machine ended with $wanted"
done
plan
