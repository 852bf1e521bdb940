#!/bin/sh
# --gdb: only this machine can reach the port, and two machines do not quarrel about it.
#   test-gdb.sh BUILD
set -u
. "$(dirname "$0")/tap.sh"

# port_of FILE: wait, 100 s at most, for the sentence, and take the port out of it
port_of() {
    for _ in $(seq 1000); do
        port=$(sed -n "s/.*target remote 127\.0\.0\.1:\([0-9]*\)'.*/\1/p" "$1")
        [ -z "$port" ] || return 0
        sleep 0.1
    done
    echo "# waited 100 s for the sentence that names the port in:"
    comment <"$1"
    port=0
}

# listens PORT: the addresses, in hexadecimal, that listen there (0100007F is 127.0.0.1)
listens() {
    awk -v port=":$(printf %04X "$1")" '$4 == "0A" && index($2, port) { print substr($2, 1, length($2) - 5) }' \
        /proc/net/tcp /proc/net/tcp6 2>/dev/null
}

"$paravane" run -q --dom0 --gdb --timeout 200 "$sample" say:first~ >"$work/out1" 2>"$work/err1" </dev/null &
first=$!
port_of "$work/err1"
one=$port
"$paravane" run -q --dom0 --gdb --timeout 200 "$sample" say:second~ >"$work/out2" 2>"$work/err2" </dev/null &
second=$!
port_of "$work/err2"
two=$port
[ "$one" != "$two" ] && [ "$two" != 0 ]
result $? 'two machines have two ports'
[ "$(listens "$one") $(listens "$two")" = '0100007F 0100007F' ]
result $? 'both on 127.0.0.1 alone'
ask 'a port that is taken: exit code 25' 25 "$paravane" run --gdb="$one" "$sample"
told 'a port that is taken: the sentence' "cannot wait for a debugger at port $one: Address already in use"

# The debugger finds the machine before its first instruction, and lets it go.
for n in 1 2; do
    [ $n = 1 ] && port=$one || port=$two
    timeout 100 gdb -nx -batch -ex "target remote 127.0.0.1:$port" -ex 'p/x $cs' -ex 'p/x $pc' -ex detach >"$work/gdb$n" 2>&1
    holds "$work/gdb$n" "machine $n stands at the reset vector" '0xfff0'
done
wait $first
judge 'the first machine ended well' 0 $?
wait $second
judge 'the second machine ended well' 0 $?
holds "$work/out1" 'the first guest spoke' first
holds "$work/out2" 'the second guest spoke' second

ask 'a command to print' 0 "$paravane" run --print-command --gdb=40123 "$sample"
says 'names the address' '-gdb tcp:127.0.0.1:40123 -S'
ask 'no number' 2 "$paravane" run --gdb=fast "$sample"
told 'no number: the sentence' '--gdb fast is not a number from 1 to 65535'
plan
