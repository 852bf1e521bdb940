#!/bin/sh
# Linux's own x86 self tests: does each program end on Paravane as on the bare machine, and as on Xen 4.17?
#
#   test-selftests.sh BUILD [MODEL/VCPUS...]      qemu64/1 qemu64/4 Nehalem/1
#
# tools/setup --selftests fetches them from Debian's kernel source package; they are built here, 64-bit and
# 32-bit, and stay in the build folder.  selftests-differences.txt lists what differs from the bare machine, with reasons.
# Xen boots a kernel by itself only as domain 0.
set -u
here=$(dirname "$0")
. "$here/linux.sh"
shift
seconds=2400 try_seconds=2400
differences=$here/selftests-differences.txt
source=$build/oracle/selftests/tools/testing/selftests/x86
programs=$build/tests/linux/selftests
if [ ! -e "$source" ]; then
    result 1 "there are Linux's self tests: run tools/setup --selftests"
    plan
    exit
fi
need_kernels
image=$(kernel amd64)

# Not through CFLAGS: the makefile adds to them for some programs.
rm -rf "$programs" # what other options built
mkdir -p "$programs/linux/selftests"
make -k -C "$source" OUTPUT="$programs/linux/selftests" CC='gcc -static -s -w' KHDR_INCLUDES= all >"$work/make" 2>&1
judge 'they can be built' 0 $?
cp "$initramfs" "$work/initramfs"
(cd "$programs" && find linux | /bin/busybox cpio -o -H newc -R 0:0 2>/dev/null) >>"$work/initramfs"
initramfs=$work/initramfs
count=$(find "$programs/linux/selftests" -type f | wc -l)

for program in $(sed -n 's/^[^# ]* [^ ]* \([^:]*\): .*/\1/p' "$differences"); do
    [ -e "$programs/linux/selftests/$program" ]
    result $? "there is $program, which is listed as a difference"
done

ends() { # FILE: the lines about programs, without what they have in common
    sed -n 's/^self test //p' "$1"
}

listed() { # SIDE PROGRAM: how it is to end there, if not as elsewhere; both may be patterns
    while read -r side machines end; do
        [ "$side" = "$1" ] || continue
        # shellcheck disable=SC2254
        case $machine in $machines) ;; *) continue ;; esac
        # shellcheck disable=SC2254
        case $end in $2:\ *) echo "${end%% -- *}" ;; esac
    done <"$differences"
}

compare() { # SIDE END OTHER: is END that of OTHER, or listed and not that of OTHER?
    want=$(listed "$1" "$program")
    if [ "$want" ]; then
        [ "$2" = "$want" ] && [ "$2" != "$3" ]
    else
        [ "$2" = "$3" ]
    fi
    good=$?
    result $good "$machine, $1: ${want:-$3}${want:+, a listed difference}"
    [ $good = 0 ] || echo "# $2, elsewhere $3"
}

complete() { # WHERE FILE: did every program end there?
    [ "$(wc -l <"$2")" = "$count" ] && grep -q '^=== end' "$out"
    result $? "$machine: all $count programs have ended $1"
    [ "$(wc -l <"$2")" = "$count" ] || tail -n 20 "$out" "$err" | comment
}

# On one CPU Linux writes the DS prefix over LOCK.  It means nothing in 64-bit code, but QEMU 7.2 adds DS's base to the address,
# and ldt_gdt_32 makes system calls with a base: Linux dies, on each machine, where an interrupt meets it then.
words='quiet noreplace-smp do=run-selftests'

for machine in ${*:-qemu64/1 qemu64/4 Nehalem/1}; do
    model=${machine%/*} vcpus=${machine#*/}

    on_bare "$image" $words
    ends "$out" >"$work/bare"
    complete 'on the bare machine' "$work/bare"

    options="-q -c $vcpus --cpus $vcpus --cpu $model"
    on_paravane "$image" $words
    judge "$machine: ends well" 0 "$status"
    ends "$out" >"$work/ours"
    complete 'on Paravane' "$work/ours"

    # As domain 0 Linux has a clock chip, whose driver would take the console's interrupt.
    hang=$(listed xen '*' | sed -n 's/: hangs$//p')
    on_xen '^=== end' "$image" $words without="$(echo "$hang" | paste -sd,)" acpi=off initcall_blacklist=cmos_init
    ends "$out" >"$work/xen"
    for program in $hang; do
        echo "$program: hangs" >>"$work/xen"
    done
    complete 'on Xen' "$work/xen"

    while IFS= read -r bare; do
        program=${bare%%:*}
        ours=$(grep "^$program:" "$work/ours")
        compare ours "$ours" "$bare"
        compare xen "$(grep "^$program:" "$work/xen")" "$ours"
    done <"$work/bare"
done
plan
