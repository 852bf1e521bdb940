#!/bin/sh
# The guests' header in a build that is not ours: the same calls, whatever the builder forgot to define.
#   test-headers.sh BUILD SOURCE
set -u
. "$(dirname "$0")/tap.sh"
source=$2

# numbers DEFINES...: the numbers that two calls with an old number of the same name load into eax
numbers() {
    {
        cat "$work/before"
        echo '#include <paravane/hypercall.h>'
        echo 'long a(void *p) { return hypercall_sched_op(0, p); }'
        echo 'long b(void *p) { return hypercall_event_channel_op(0, p); }'
    } >"$work/call.c"
    ${CC:-cc} "$@" -O1 -S -ffreestanding -I "$source/hypercall-abi/include" -o "$work/call.s" "$work/call.c" &&
        sed -n 's/.*\$\(29\|32\|6\|16\), *%[er]ax.*/\1/p' "$work/call.s" | tr '\n' ' '
}
: >"$work/before"
for defines in '' -D__XEN_INTERFACE_VERSION__=__XEN_LATEST_INTERFACE_VERSION__ -D__XEN_INTERFACE_VERSION__=0x00040d00; do
    # shellcheck disable=SC2086
    [ "$(numbers $defines)" = '29 32 ' ]
    result $? "today's numbers with '$defines'"
done
ask 'an old version is refused' 1 numbers -D__XEN_INTERFACE_VERSION__=0x00030100
told 'with the reason' 'before any of Xen'
echo '#include <xen/xen.h>' >"$work/before"
ask "Xen's header first, without a version: refused" 1 numbers
told 'with what to define' 'define __XEN_INTERFACE_VERSION__ as __XEN_LATEST_INTERFACE_VERSION__'
plan
