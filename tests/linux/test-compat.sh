#!/bin/sh
# 32-bit and 64-bit programs that look at every value that a processor and Linux show them: each line is that of the bare machine.
#
#   test-compat.sh BUILD [xen] [MODEL VCPUS...]...      qemu64 1 2
#
# compat/ has the programs.  compat-differences.txt lists what differs from the bare machine, with reasons; with the word xen each
# line is compared with that of Xen 4.17, too, which boots Linux as its domain 0.  The bare machine runs once for each model, with
# one CPU: how many there are does not show.
set -u
here=$(dirname "$0")
. "$here/linux.sh"
shift
need_kernels
differences=$here/compat-differences.txt
xen=
if [ "${1:-}" = xen ]; then
    xen=yes
    shift
fi

lines() { # FILE: between the marks
    sed -n '/^=== begin$/,/^=== end$/p' "$1" | grep -v '^==='
}

# The differences listed for SIDE and MACHINE: two patterns, of the lines elsewhere and of those there, and a tab between.
listed() { # SIDE MACHINE
    while read -r side machines difference; do
        [ "$side" = "$1" ] || continue
        # shellcheck disable=SC2254
        case $2 in $machines) ;; *) continue ;; esac
        elsewhere=${difference%% => *} there=${difference#* => }
        printf '%s\t%s\n' "$elsewhere" "${elsewhere%\*}${there%% -- *}"
    done <"$differences"
}

# Lines of stdin that are like PATTERN.
like() {
    while IFS= read -r line; do
        # shellcheck disable=SC2254
        case $line in $1) echo "$line" ;; esac
    done
}

# SIDE MACHINE FILE OTHER: a line that FILE or OTHER has more than the other must be like a listed one, and for each pattern that is
# listed there must be such a line.
compare() {
    sort "$3" >"$work/here"
    sort "$4" >"$work/there"
    comm -13 "$work/here" "$work/there" >"$work/missing"
    comm -23 "$work/here" "$work/there" >"$work/more"
    : >"$work/known"
    listed "$1" "$2" >"$work/listed"
    while IFS='	' read -r elsewhere here; do
        like "$elsewhere" <"$work/missing" >"$work/some-missing"
        like "$here" <"$work/more" >"$work/some-more"
        [ -s "$work/some-missing" ] && [ -s "$work/some-more" ]
        result $? "$2, $1: $elsewhere becomes ${here#"${elsewhere%\*}"}"
        cat "$work/some-missing" "$work/some-more" >>"$work/known"
    done <"$work/listed"
    sort "$work/known" | uniq >"$work/known-lines"
    cat "$work/missing" "$work/more" | sort -u | comm -23 - "$work/known-lines" >"$work/new"
    [ ! -s "$work/new" ]
    result $? "$2, $1: all $(wc -l <"$3") other lines are the same"
    [ ! -s "$work/new" ] || diff "$work/there" "$work/here" | grep '^[<>]' | grep -F -f "$work/new" | head -n 60 | comment
}

# The same addresses in every run, so that no line has to hide them; and the page of the oldest system calls, which Debian leaves out.
# Paravane has four levels of page tables.  The check of the timer fails on the bare machine if the host has much else to do.
words='quiet norandmaps no5lvl no_timer_check vsyscall=xonly do=run-compat'
# With SMAP, QEMU 7.2 lets no program execute IRET and far RET; Paravane leaves it off there by itself.
without=,-smap

begin_model() { # the bare machine begins to run, beside what follows
    image=$(kernel cloud-amd64)
    [ ! "$xen" ] || image=$(kernel amd64) # the other cannot be domain 0
    (
        out=$work/out.bare err=$work/err.bare vcpus=1 model=$model$without
        on_bare "$image" $words
    ) &
    bare=$!
}

end_model() {
    [ "$bare" ] || return 0
    wait "$bare"
    bare=
    grep -q '^=== end' "$work/out.bare"
    result $? "$model: the bare machine comes to the end"
    grep -q '^=== end' "$work/out.bare" || tail -n 20 "$work/out.bare" "$work/err.bare" | comment
    lines "$work/out.bare" >"$work/bare"
}

try_machine() { # VCPUS
    machine=$model/$1
    options="-q -c $1 --cpus $1 --cpu $model"
    on_paravane "$image" $words
    judge "$machine: ends well" 0 "$status"
    lines "$out" >"$work/ours"
    end_model
    compare ours "$machine" "$work/ours" "$work/bare"

    [ "$xen" ] || return 0
    # Idle, Xen executes MWAIT as CPUID says it may, and QEMU 7.2 answers #GP: an end of Xen on EPYC with several CPUs.
    # And its console loses what does not fit into its buffer, if it does not wait.
    options="$options$without,-monitor --append sync_console"
    on_xen '^=== end' "$image" $words acpi=off initcall_blacklist=cmos_init
    judge "$machine: Xen ends well" 0 "$status"
    lines "$out" >"$work/xen"
    compare xen "$machine" "$work/xen" "$work/ours"
}

bare=
for word in ${*:-qemu64 1 2}; do
    case $word in
    [0-9]*) try_machine "$word" ;;
    *)
        model=$word
        begin_model
        ;;
    esac
done
plan
