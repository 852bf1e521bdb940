# shellcheck shell=sh disable=SC2034,SC2154
# What `linux` and `guest` share, sourced by both: boots under QEMU that count whose the instructions are.
#
# Needs $build, the build directory, and $here.  Each machine has a name, WHICH: bare (no hypervisor), ours, xen.
export LC_ALL=C
work=$(mktemp -d)
qemu=
trap 'kill $qemu 2>/dev/null || :; rm -rf "$work"' EXIT INT TERM
initramfs=$build/pv-guest/initramfs.cpio
count='-accel tcg,thread=single -icount shift=0,sleep=off -rtc base=2026-01-01T00:00:00,clock=vm'
marker=$(nm "$build/pv-guest/measure" | awk '$3 == "report" { print $1 }')

# boot OUTPUT WHICH LAST-LINE MORE...: run the command in $work/command.WHICH until LAST-LINE is seen
boot() {
    output=$1 command=$(cat "$work/command.$2") last=$3
    shift 3
    case $* in *icount*) command=$(echo "$command" | sed 's/-accel tcg[^ ]*//') ;; esac
    rm -f "$work/pipe"
    mkfifo "$work/pipe"
    eval "exec timeout 900 $command $*" </dev/null >"$work/pipe" 2>&1 &
    qemu=$!
    sed -u -e 's/\r//g' -e "/$last/q" "$work/pipe" >"$output"
    kill $qemu 2>/dev/null || :
    wait $qemu 2>/dev/null || :
    qemu=
    grep -aq "$last" "$output" || {
        echo "bench: no '$last'; the last lines were:" >&2
        tail -n 10 "$output" >&2
        exit 1
    }
}

# measure WHICH: its lines to $work/out.WHICH, the executions of each instruction to profile.WHICH, to sums.WHICH
# `PHASE hypervisor|other COUNT`.  Both hypervisors live at ffff82..., where no guest may.
measure() {
    boot "$work/out.$1" "$1" 'bench: done' \
        "$count -plugin $build/tests/bench/profile.so,kernel=ffffffff80000000,next=$marker,out=$work/profile.$1"
    awk -v which="$1" '{
        whose = length($2) == 16 && substr($2, 1, 6) == "ffff82" && which != "bare" ? "hypervisor" : "other"
        sum[$1 " " whose] += $3
    } END { for (k in sum) printf "%s %.0f\n", k, sum[k] }' "$work/profile.$1" >"$work/sums.$1"
}

# For the awk programs that make the tables of $work/sums.* and out.*: value[WHICH, NAME], sum[WHICH, PHASE, WHOSE], and
# row[1..rows], the names.  The phase of a row has the row's number.
# shellcheck disable=SC2016
awk_rows='
    function thousands(n,    s, out) {
        s = sprintf("%.0f", n)
        while (length(s) > 3) {
            out = "," substr(s, length(s) - 2) out
            s = substr(s, 1, length(s) - 3)
        }
        return s out
    }
    function ask(good, what) { print (good ? "ok " : "not ok ") ++asked " - " what }
    { which = FILENAME; sub(/.*\./, "", which) }
    FILENAME ~ /sums/ { sum[which, $1, $2] = $3; next }
    /^bench: .* = [0-9]+$/ {
        at = match($0, / = [0-9]+$/)
        name = substr($0, 8, at - 8)
        value[which, name] = substr($0, at + 3) + 0
        if (which == "bare")
            row[++rows] = name
    }'

# functions SELECT FILE...: which functions the instructions went to, of Paravane in each row.  SELECT, an awk condition on the
# address $2, says which; the FILEs have their symbols.
functions() {
    select=$1
    shift
    # Which function each address belongs to: symbols and counts in one list, by address.
    {
        nm "$@" | awk '$2 ~ /^[tTwW]$/ { print $1, "symbol", $3 }'
        awk '$1 > 0 && length($2) == 16 && ('"$select"') { print $2, "count", $1, $3 }' "$work/profile.ours"
    } | sort -k1,1 -k2,2r >"$work/merged"
    sed -n 's/^bench: \(.*\) = [0-9]*$/\1/p' "$work/out.ours" >"$work/names"
    awk '
        FNR == NR { title[NR] = $0; titles = NR; next }
        $2 == "symbol" { f = $3; next }
        { n[$3 " " f] += $4 }
        END { for (k in n) { split(k, p, " "); printf "%d %.0f %s\n", p[1], n[k], p[2] } }' "$work/names" "$work/merged" |
        sort -k1,1n -k2,2nr | awk -v names="$work/names" '
        BEGIN { while ((getline line < names) > 0) title[++titles] = line }
        $1 != phase { phase = $1; shown = 0; sub(/^first process$/, "to the first process", title[phase])
                      if (phase <= titles) print "\n" title[phase] ":" }
        phase <= titles && ++shown <= 16 { printf "%12s %s\n", $2, $3 }'
}
