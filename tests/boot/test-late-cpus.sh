#!/bin/sh
# CPUs that come after the boot CPU has given them up, as on a host that is too busy to run them: the machine goes
# on with those it has, and the late ones halt.
#   test-late-cpus.sh BUILD
set -u
. "$(dirname "$0")/tap.sh"

# session WHAT OPTION...: of a machine with four CPUs.  Its guest is told to end when each CPU that was given up has come.
session() {
    what=$1
    shift
    rm -f "$work/keys"
    mkfifo "$work/keys"
    {
        "$paravane" run --timeout 60 --dom0 --cpus 4 "$@" "$sample" say:here~ shell <"$work/keys" 2>&1
        echo "status $?"
    } | {
        exec 3>"$work/keys"
        missing=1
        while read -r line; do
            echo "$line"
            case $line in
            *'going on without it') missing=$((missing + 1)) ;;
            *'come too late'* | *here) missing=$((missing - 1)) ;;
            *) continue ;;
            esac
            [ $missing != 0 ] || echo exit >&3
        done
    } >"$out"
    judge "$what: the machine ends well" 0 "$(sed -n 's/^status //p' "$out")"
}
: >"$err"

# Counting instructions, CPUs take turns: another one runs only when the boot CPU waits.  It does not.
session 'three late CPUs' --icount --append ap-wait=0
for cpu in 1 2 3; do
    says "CPU$cpu is given up" "CPU$cpu (APIC $cpu) has not come 0 ms after INIT and STARTUP: going on without it"
    says "CPU$cpu comes, and halts" "CPU$cpu (APIC $cpu) has come too late: it stays halted"
done
says 'one is left' '(PV) 1 CPUs'

session 'with time to come' --icount
says 'all four run' '(PV) 4 CPUs'

# Here each is a thread, and any of them may be the first: a CPU is running or given up, and never both.
for round in 1 2 3 4 5 6; do
    session "round $round" --threads multi --append ap-wait=0
    late=$(grep -c 'come too late' "$out")
    says "$late late" "(PV) $((4 - late)) CPUs"
done
plan
