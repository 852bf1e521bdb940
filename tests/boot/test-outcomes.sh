#!/bin/sh
# What the tool makes of what a hypervisor says at the end.  In QEMU's place
# stands a script, so that endings can be seen that no guest may bring about.
set -u
. "$(dirname "$0")/tap.sh"
: >"$work/hypervisor"

# after STATUS TEXT: the machine says TEXT (printf's escapes) and ends with STATUS.
after() {
    printf '#!/bin/sh\ncat "%s"\n%s\n' "$work/said" "$1" >"$work/qemu"
    chmod +x "$work/qemu"
    printf "$2" >"$work/said"
}
run() { PARAVANE_QEMU=$work/qemu "$paravane" run --hypervisor "$work/hypervisor" "$@" "$sample"; }
end='(PV) d1 shut down: poweroff\n'

ends() { # WHAT CODE STATUS TEXT
    after "exit $3" "$4"
    ask "$1" "$2" run
}
ends 'all is well' 0 1 "hello\n$end"
says 'the guest is on stdout' 'hello'
told 'the hypervisor on stderr' '(PV) d1 shut down'
ends 'a power-off without a byte' 0 0 "$end"
ends 'the byte for a crash' 20 33 '(PV) d1 shut down: crash\n'
ends 'a watchdog' 20 33 '(PV) d1 shut down: watchdog\n'
ends 'a bug of the hypervisor' 21 65 '(PV) BUG: page.c:12: no\n'
told 'a bug: the sentence' 'please report them'
ends 'a bug after a good end' 21 65 "$end(PV) audit: 3 frames were lost\n"
ends 'a malformed tree' 17 99 '(PV) cannot boot: /chosen: no domain\n'
ends 'a kernel that is not taken' 14 101 '(PV) cannot boot: no\n'
ends 'too little memory' 16 103 '(PV) cannot boot: no\n'
ends 'anything else' 18 105 '(PV) cannot boot: no\n'
ends 'cannot boot, and a power-off' 18 0 '(PV) cannot boot: no\n'
ends 'a reset: triple fault' 21 0 '(PV) Paravane\nsomething last\n'
told 'a reset: the last line' 'after "something last"'
ends 'QEMU that gives up' 23 1 ''
ends 'QEMU that gives up otherwise' 23 2 ''
after 'kill -ABRT $$' ''
ask 'QEMU that is killed' 23 run
told 'QEMU that is killed: by what' 'died of signal 6'
after 'kill -SEGV $$' '(PV) d3 shut down: reboot\n'
ask 'QEMU that is killed when one of the domains has ended' 23 run
after 'echo qemu: bad option >&2; exit 1' ''
ask 'what QEMU says' 23 run
told 'is passed on' 'qemu: bad option'
after 'echo qemu: cannot set up guest memory >&2; exit 1' ''
ask 'more memory than the host has' 23 run
told 'more memory: what to do' 'lower -m'
after 'echo qemu: linux kernel too old to load a ram disk >&2; exit 1' ''
ask 'a text as hypervisor' 23 run
told 'a text as hypervisor: the cause' 'no Multiboot image'
after 'echo KVM internal error. Suberror: 1 >&2; exec sleep 1000' ''
ask 'KVM that cannot go on does not wait for ever' 23 run --timeout 100
told 'KVM: what to do' '--accel tcg'
after 'echo qemu: QEMU: Terminated via GDBstub >&2; exit 0' 'first words\n'
ask 'a debugger that ends the machine' 130 run
ends 'a panic' 20 33 'kernel panic: no ramdisk\nRAX 0000\n(PV) d1 shut down: crash\n'
told 'a panic: its line is quoted, not the last one' 'and said "kernel panic: no ramdisk"'

# Xen's endings; it goes on for ever behind them.
xen() {
    after 'exec sleep 1000' "$3"
    ask "Xen: $1" "$2" run --timeout 100
}
xen 'halted' 0 '(XEN) Hardware Dom0 halted: halting machine\r\n'
xen 'rebooted' 0 '(XEN) Hardware Dom0 shutdown: rebooting machine\r\n'
xen 'crashed' 20 '(XEN) Hardware Dom0 crashed: rebooting machine in 5 seconds.\r\n'
xen 'behind a prompt' 0 '# (XEN) Hardware Dom0 halted: halting machine\r\n'
panic='(XEN) Panic on CPU 0:\r\n'
xen 'panic' 21 "$panic(XEN) FATAL TRAP\r\n(XEN) Reboot in five seconds...\r\n"
xen 'no domain 0' 18 "$panic(XEN) Could not construct domain 0\r\n(XEN) Reboot in five seconds...\r\n"
after 'exit 0' '(XEN) Entering ACPI S5 state.\r\n'
ask 'Xen: switched off by ACPI' 0 run

# The console, in pieces and with whatever line ends.
after 'exit 1' "one\\\\r\\\\ntwo\\\\r\\\\r\\\\nprompt> "
ends 'line ends' 0 1 "one\r\ntwo\r\r\nodd\rone\n$end"
[ "$(od -An -c "$out" | tr -d ' \n')" = 'one\ntwo\nodd\rone\n' ]
result $? 'CR LF and CR CR LF are one line end, a lone CR is none'
printf '#!/bin/sh\nprintf "(P"; sleep 0.2; printf "V) whole\\n(X"; sleep 0.2; printf "EN"; sleep 0.2; printf "O)\\n%s"; exit 1\n' \
    "$end" >"$work/qemu"
ask 'lines that come in pieces' 0 run
told 'are put together' '(PV) whole'
says 'and told apart' '(XENO)'

tap() { # WHAT CODE TEXT
    after 'exit 1' "$3$end"
    ask "TAP: $1" "$2" run --tap
}
tap 'good' 0 'TAP version 13\n1..2\nok 1\nok 2 # skip no\n'
tap 'the plan at the end' 0 'ok 1\nok 2\n1..2\n'
tap 'a todo' 0 '1..1\nnot ok 1 # TODO later\n'
tap 'no tests at all' 0 '1..0\n'
tap 'bail out' 1 '1..1\nBail out! no\n'
tap 'one more than planned' 1 '1..1\nok 1\nok 2\n'
tap 'okay is not ok' 1 '1..1\nokay\n'
tap 'one domain is heard, others are comments' 0 '(d2) 1..1\n(d1) ok 7\n(d2) ok 1\n'
says 'TAP: without the prefix' 'ok 1'
says 'TAP: the other domain' '# (d1) ok 7'
plan
