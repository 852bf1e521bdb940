# Debian's kernels on Paravane, on Xen and on the bare machine.  Sourced by the test-*.sh here, which
# meson calls with the build folder as first argument; on top of tests/boot/tap.sh.
#
#   kernel FLAVOUR            the path of the kernel, cloud-amd64 (lz4) or amd64 (xz), from its package
#   on_paravane KERNEL WORDS  options of `paravane run` in $options; WORDS for the kernel's command line
#   on_bare KERNEL WORDS      the same kernel on the machine without a hypervisor; $model, $vcpus
#   on_xen TEXT KERNEL WORDS  the same on Xen, until it prints TEXT
# Both leave the console in $out, without carriage returns, and what else was said in $err.
. "$(dirname "$0")/../boot/tap.sh"
initramfs=$build/tests/linux/initramfs.cpio
seconds=${seconds:-900}         # no single run may take longer, on a host that has much else to do
try_seconds=${try_seconds:-300} # nor a try of a reference

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

# References are not what is tested, and Linux does not always come to its end there: under TCG on a busy host its
# checks of the clocks may fail, and with more CPUs than the host has cores both the bare machine and Xen hung once; Xen
# also reset the machine.  So each has three tries to print a line that matches TEXT and to end with status 0; of a
# try that does not, the last lines are shown.
three_tries() { # WHERE TEXT COMMAND...
    where=$1 text=$2
    shift 2
    for try in 1 2 3; do
        "$@"
        [ "$status" != 0 ] || ! grep -q "$text" "$out" || return 0
        echo "# try $try on $where came to no end (exit status $status); its last lines:"
        tail -n 5 "$out" | comment
    done
}

bare_once() {
    image=$1
    shift
    status=0
    timeout "$try_seconds" qemu-system-x86_64 -no-user-config -nodefaults -display none -no-reboot \
        -accel tcg -serial stdio -m 256 -cpu "$model" -smp "$vcpus" -kernel "$image" -initrd "$initramfs" \
        -append "console=ttyS0 panic=-1 rdinit=/linux/init $*" >"$out" 2>"$err" </dev/null || status=$?
    plain_text "$out"
}

on_bare() {
    three_tries 'the bare machine' '^=== end$' bare_once "$@"
}

on_xen() { # TEXT KERNEL WORDS
    text=$1 ours=$options
    shift
    options="$options --hypervisor xen --timeout $try_seconds"
    three_tries Xen "$text" on_paravane "$@"
    options=$ours
}
