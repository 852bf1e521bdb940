# Debian's kernels on Paravane, on Xen and on the bare machine.  Sourced by the test-*.sh here, which
# meson calls with the build folder as first argument; on top of tests/boot/tap.sh.
#
#   kernel FLAVOUR            the path of the kernel, cloud-amd64 (lz4) or amd64 (xz), from its package
#   on_paravane KERNEL WORDS  options of `paravane run` in $options; WORDS for the kernel's command line
#   on_bare KERNEL WORDS      the same kernel on the machine without a hypervisor; $model, $vcpus
# Both leave the console in $out, without carriage returns, and what else was said in $err.
. "$(dirname "$0")/../boot/tap.sh"
initramfs=$build/tests/linux/initramfs.cpio
seconds=${seconds:-900} # no single run may take longer, on a host that has much else to do

kernel() { # FLAVOUR
    ls "$build/oracle/guests/$1"/boot/vmlinuz-* 2>/dev/null
}

# Names of the flavours, or a failure that says what to do.
need_kernels() {
    for flavour in cloud-amd64 amd64; do
        [ -e "$(kernel $flavour)" ] && continue
        result 1 "there is Debian's $flavour kernel: run tools/setup --guests"
        plan
        exit
    done
}

plain_text() { # FILE: as a person reads it
    sed -i 's/\r//g' "$1"
}

on_paravane() {
    image=$1
    shift
    status=0
    # shellcheck disable=SC2086
    "$paravane" run --timeout "$seconds" -m 256 $options -r "$initramfs" \
        "$image" console=hvc0 panic=-1 rdinit=/linux/init "$@" >"$out" 2>"$err" </dev/null || status=$?
    plain_text "$out"
}

# The bare machine is the reference, not what is tested, and Linux does not always come to its end there: under TCG on
# a busy host its checks of the clocks may fail, and with more CPUs than the host has cores it hung once.  So it has
# three tries to print the last line of what it was to do.
on_bare() {
    image=$1
    shift
    for try in 1 2 3; do
        status=0
        timeout "$((seconds / 3))" qemu-system-x86_64 -no-user-config -nodefaults -display none -no-reboot \
            -accel tcg -serial stdio -m 256 -cpu "$model" -smp "$vcpus" -kernel "$image" -initrd "$initramfs" \
            -append "console=ttyS0 panic=-1 rdinit=/linux/init $*" >"$out" 2>"$err" </dev/null || status=$?
        plain_text "$out"
        ! grep -q '^=== end$' "$out" || return 0
        echo "# try $try on the bare machine came to no end (exit status $status); its last lines:"
        tail -n 5 "$out" | comment
    done
}

# The same kernel on Xen, the other reference, which hangs at times on more CPUs than the host has cores, too: three
# tries to print TEXT and to end well.  In a subshell: $seconds and $options stay changed.
on_xen() { # TEXT KERNEL WORDS
    text=$1
    shift
    options="$options --hypervisor xen"
    seconds=$((seconds / 3))
    for try in 1 2 3; do
        on_paravane "$@"
        grep -q "$text" "$out" && [ "$status" = 0 ] && return 0
        echo "# try $try on Xen came to no end (exit status $status); its last lines:"
        tail -n 5 "$out" | comment
    done
}
