#!/bin/sh
# What CPUID says to the first domain's kernel, on several models of CPU, compared with Xen's answer.
#   test-cpuid.sh BUILD
set -u
. "$(dirname "$0")/tap.sh"

xen=$build/oracle/xen-4.17

leaves() { # HYPERVISOR MODEL
    "$paravane" run -q --timeout 100 --dom0 --machine-memory 512 --cpu "$2" --hypervisor "$1" "$build/tests/guest/cpuid" </dev/null 2>/dev/null |
        tr -d '\r' | grep '^leaf' | grep -v -f "$work/differ" |
        sed -e '/^leaf 7\.0: /{' -e 's/^\(leaf 7\.0: [^ ]* [^ ]*\)\([13579bdf]\) /\1<\2> /' \
            -e 's/<1>/0/;s/<3>/2/;s/<5>/4/;s/<7>/6/;s/<9>/8/;s/<b>/a/;s/<d>/c/;s/<f>/e/' -e '}'
}

# Where Xen's differ, and why:
#   40000003.2     the TSC's frequency, as each has measured it
#   7.0, bit 0 of ebx: FSGSBASE, whose instructions take any base on this emulator, is hidden there; cleared on both sides
#   80000000/21.0  Xen makes LFENCE serialize on an AMD CPU that does not say so, and shows that
#   7.0            on Intel, Xen shows ARCH_CAPABILITIES to its first domain; the MSR is not served here
cat >"$work/differ" <<'EOF'
^leaf 40000003.2:
^leaf 80000000.0:
^leaf 80000021.0:
EOF
for model in qemu64 max EPYC max,-xsave EPYC,-avx; do
    leaves paravane $model >"$work/ours"
    [ "$(wc -l <"$work/ours")" -gt 90 ]
    result $? "$model: all leaves are told"
    if [ -e "$xen" ]; then
        leaves xen $model >"$work/theirs"
        ask "$model: as on Xen" 0 diff "$work/ours" "$work/theirs"
    fi
done
echo '^leaf 7.0:' >>"$work/differ"
leaves paravane Nehalem >"$work/ours"
if [ -e "$xen" ]; then
    leaves xen Nehalem >"$work/theirs"
    ask 'Nehalem: as on Xen' 0 diff "$work/ours" "$work/theirs"
fi
plan
