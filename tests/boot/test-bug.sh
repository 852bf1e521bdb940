#!/bin/sh
# An end of the hypervisor itself, asked for by its debug key C: it is told as such.
#   test-bug.sh BUILD
set -u
. "$(dirname "$0")/tap.sh"

printf '\001\001\001C' >"$work/keys" # the keyboard to the hypervisor, and its key
ask 'a bug of the hypervisor has its own exit code' 21 \
    "$paravane" run -m 8 --timeout 200 --input "$work/keys" "$build/tests/guest/echo"
told 'it says where' '(PV) BUG: hypervisor/core/dispatch/debug-keys.c'
told 'and shows what its CPUs ran' 'd1v0 (echo) on cpu 0'
told 'with the last hypercalls' 'sched_op'
told 'and symbols of the guest' 'guest_main+'
plan
