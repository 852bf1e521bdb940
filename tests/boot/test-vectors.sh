#!/bin/sh
# Several guests with numbers of their own in every vector register, on fewer CPUs than guests.
#   test-vectors.sh BUILD
set -u
. "$(dirname "$0")/tap.sh"

vectors() { # CPUS MODEL
    ask "4 guests on $1 CPUs, $2" 0 "$paravane" run -q --timeout 100 --threads multi --cpus "$1" --cpu "$2" --copies 4 \
        "$build/tests/guest/vectors"
    [ "$(grep -c ', 0 of 20000 rounds wrong' "$out")" = 4 ]
    result $? "4 guests on $1 CPUs, $2: none saw another's registers"
}

vectors 1 max
says 'with AVX' 'vectors: AVX'
vectors 2 max
vectors 1 qemu64
says 'without AVX' 'vectors: SSE'
plan
