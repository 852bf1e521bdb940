#!/bin/sh
# A kernel that nobody here wrote: Debian's, from its package, with our
# initramfs (Debian's busybox) as its user land.  Both flavours are bzImages, one xz, one lz4.
#   test-linux.sh BUILD paravane|xen
set -u
. "$(dirname "$0")/tap.sh"
which=$2

# On Xen a kernel is domain 0, and the cloud flavour has no console there.
for kernel in "$build"/oracle/guests/*/boot/vmlinuz-*; do
    [ -e "$kernel" ] || {
        result 1 'there is a kernel: run tools/setup --guests'
        continue
    }
    name=$(basename "$kernel")
    case $which$name in xen*cloud*) continue ;; esac
    printf 'uname -s\necho ok $((6*7))\npoweroff -f\n' >"$work/input"
    "$paravane" run -q --timeout 200 -m 256 --hypervisor "$which" -r "$build/pv-guest/initramfs.cpio" \
        "$kernel" console=hvc0 quiet panic=-1 rdinit=/init <"$work/input" >"$out" 2>"$err"
    judge "$name ends well" 0 $?
    says "$name ran a shell" 'ok 42'
done
plan
