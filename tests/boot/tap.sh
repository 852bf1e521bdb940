# Questions to a command, answered in TAP.  Sourced by the test-*.sh here, which
# meson calls with the build folder as first argument.
#
#   ask WHAT CODE COMMAND...   run it; is CODE its exit status?  Its output stays in
#   says WHAT TEXT             $out and $err for questions like this one:
#   told WHAT TEXT             is TEXT on its stdout / on its stderr?
#   says_not WHAT TEXT        is TEXT not on its stdout?
#   plan                       at the end

build=$1
paravane=$build/tools/paravane
sample=$build/tests/boot/sample
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
out=$work/out
err=$work/err
asked=0

result() { # 0|1 WHAT
    asked=$((asked + 1))
    if [ "$1" = 0 ]; then
        printf 'ok %s - %s\n' "$asked" "$2"
    else
        printf 'not ok %s - %s\n' "$asked" "$2"
    fi
}

comment() {
    sed 's/^/#   /'
}

ask() {
    what=$1 code=$2
    shift 2
    status=0
    "$@" >"$out" 2>"$err" </dev/null || status=$?
    judge "$what" "$code" "$status"
}

judge() {
    if [ "$3" = "$2" ]; then
        result 0 "$1"
    else
        result 1 "$1"
        echo "# exit status $3 instead of $2; stdout and stderr:"
        tail -n 20 "$out" | comment
        tail -n 20 "$err" | comment
    fi
}

holds() { # FILE WHAT TEXT
    if grep -qF -e "$3" "$1"; then
        result 0 "$2"
    else
        result 1 "$2"
        echo "# no \"$3\" in:"
        tail -n 20 "$1" | comment
    fi
}

says() { holds "$out" "$@"; }
says_not() {
    ! grep -qF -e "$2" "$out"
    result $? "$1"
}
told() { holds "$err" "$@"; }

plan() {
    echo "1..$asked"
}
