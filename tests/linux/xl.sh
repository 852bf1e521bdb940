# Debian's Linux as domain 0 with Debian's xl, on Paravane and on Xen 4.17 side by side.  Sourced by test-xl*.sh, behind linux.sh.
#
#   need_xl WHAT   is there xl and Xen?  If not, WHAT is skipped
#   both           boots both: domain 0 runs $work/asked, which has until_true COMMAND...: for a few minutes at most;
#                  $work/guest is /guest there, a copy of $work/disk its disk.  The console is in
#                  $work/ours and $work/xen, what else was said in .err, the exit status in .status beside

need_xl() { # WHAT
    [ -e "$build/oracle/dom0/tree" ] && [ -e "$build/oracle/xen-4.17" ] && return
    echo "ok 1 - $1 # SKIP tools/setup --dom0 has not fetched it"
    echo 1..1
    exit
}

commands() {
    cat - "$work/asked" >"$work/commands" <<'END'
until_true() {
    tries=0
    until "$@" 2>/tmp/untrue || [ $tries -ge 300 ]; do tries=$((tries + 1)); sleep 1; done
}
END
}

boot() { # HYPERVISOR NAME
    for try in 1 2 3; do
        status=0
        cp "$work/disk" "$work/disk.$2"
        "$paravane" run --xl --hypervisor "$1" --disk "$work/disk.$2" --net --timeout "$seconds" \
            --add "$work/commands:/commands" --add "$work/guest:/guest" >"$work/$2" 2>"$work/$2.err" </dev/null || status=$?
        plain_text "$work/$2"
        [ "$1" = xen ] && ! grep -q '^== end' "$work/$2" || break
    done
    echo $status >"$work/$2.status"
}

both() {
    commands
    boot paravane ours &
    boot xen xen
    wait
}
