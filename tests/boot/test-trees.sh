#!/bin/sh
# Device trees and kernels that are wrong, given to the hypervisor itself: it says
# why it cannot boot and ends, with nothing of its own failing.  (The tool would not
# write such trees or pass such kernels; here it is told to, or gone round.)
#   test-trees.sh BUILD
set -u
. "$(dirname "$0")/tap.sh"

run() { "$paravane" run --timeout 100 "$@"; }

# tree ROOT-PROPERTIES: /chosen/hypervisor with one good domain and more text in it.
good='one { compatible = "xen,domain"; domid = <1>; mode = <5>; memory = <0 0x4000>; cpus = <1>;
    module@1 { compatible = "module,kernel", "multiboot,module"; mb-index = <1>; bootargs = "poweroff"; }; };'
tree() {
    printf '/dts-v1/; / { chosen { hypervisor { #address-cells = <1>; #size-cells = <0>;
        compatible = "hypervisor,xen"; %s }; }; };' "$1" >"$work/tree.dts"
    dtc -q -f -I dts -O dtb -o "$work/tree.dtb" "$work/tree.dts" 2>"$work/dtc" || cat "$work/dtc"
}
# replaced OLD NEW: the good domain with one thing changed.
replaced() { printf '%s' "$good" | awk -v old="$1" -v new="$2" 'BEGIN { RS = "\001" }
    { at = index($0, old); print substr($0, 1, at - 1) new substr($0, at + length(old)) }'; }

tree "$good"
ask 'the good tree boots' 0 run --tree "$work/tree.dtb" "$sample"

malformed() { # WHAT TREE-TEXT
    tree "$2"
    ask "$1: exit code 17" 17 run --tree "$work/tree.dtb" "$sample"
    told "$1: said" '(PV) cannot boot: '
}
malformed 'no domain' ''
malformed 'no kernel' "$(replaced 'module,kernel' 'module,other')"
malformed 'a module that is not there' "$(replaced 'mb-index = <1>' 'mb-index = <7>')"
malformed 'the tree itself as kernel' "$(replaced 'mb-index = <1>' 'mb-index = <0>')"
malformed 'no index' "$(replaced 'mb-index = <1>;' '')"
malformed 'no memory' "$(replaced 'memory = <0 0x4000>;' '')"
malformed 'an odd length' "$(replaced 'memory = <0 0x4000>' 'memory = [00 01 02]')"
malformed 'a mode that is not PV' "$(replaced 'mode = <5>' 'mode = <2>')"
malformed 'an id too large' "$(replaced 'domid = <1>' 'domid = <0x7ff0>')"
malformed 'no vCPU' "$(replaced 'cpus = <1>' 'cpus = <0>')"
malformed 'an unknown word' "$(replaced 'cpus = <1>;' 'paravane,on-crash = "panic";')"
malformed 'two of an id' "$good $(replaced 'one {' 'two {')"
tree "$good"
sed -i s/hypervisor,xen/hypervisor,abc/ "$work/tree.dtb"
ask 'another hypervisor'\''s tree: exit code 17' 17 run --tree "$work/tree.dtb" "$sample"
tree "$good"
head -c 200 "$work/tree.dtb" >"$work/cut.dtb"
ask 'a tree cut off: exit code 17' 17 run --tree "$work/cut.dtb" "$sample"
tree "$(replaced '0x4000' '0x400000')"
ask 'more memory than there is: exit code 16' 16 run --tree "$work/tree.dtb" "$sample"
tree "$(replaced '0x4000' '0x80')"
ask 'less memory than the kernel needs: exit code 16' 16 run --tree "$work/tree.dtb" "$sample"

# As the first module's file, without the tool looking at it.
plain() { # FILE: a machine with that kernel as domain 0
    timeout 60 qemu-system-x86_64 -nodefaults -display none -no-reboot -serial stdio \
        -device isa-debug-exit,iobase=0xf4,iosize=4 -kernel "$build/hypervisor/paravane" \
        -initrd "$1" -append 'console=com1 debug-exit=0xf4' -m 128
}
for bad in no-notes wrong-version wrong-entry 32; do
    ask "sample-$bad: the byte for a bad kernel" 101 plain "$sample-$bad"
    says "sample-$bad: said" '(PV) cannot boot: '
done

# Mutations: 4 bytes at a time, at places and with values from a fixed sequence.
mutate() { # FROM TO SEED HOW-MANY-BYTES-FROM-THE-START
    cp "$1" "$2"
    awk -v seed="$3" -v size="$4" 'BEGIN {
        srand(seed)
        for (i = 0; i < 4; i++)
            printf "%d %03o\n", int(rand() * size), int(rand() * 4) ? int(rand() * 256) : 255
    }' | while read -r at value; do
        printf "\\$value" | dd of="$2" bs=1 seek="$at" conv=notrunc 2>/dev/null
    done
}
tree "$good"
bad=0
for seed in $(seq 25); do
    mutate "$work/tree.dtb" "$work/mutant" "$seed" "$(wc -c <"$work/tree.dtb")"
    run --tree "$work/mutant" "$sample" >"$out" 2>"$err" </dev/null
    case $? in
    0 | 14 | 16 | 17 | 18 | 20) ;;
    *)
        bad=$((bad + 1))
        echo "# tree, seed $seed:"
        tail -n 4 "$err" | comment
        ;;
    esac
done
result $bad '25 mutated trees: booted or refused'
bad=0
for seed in $(seq 25); do
    mutate "$sample" "$work/mutant" "$seed" 360 # ELF and program headers
    plain "$work/mutant" >"$out" 2>"$err" </dev/null
    case $? in
    1 | 33 | 101 | 103 | 105) ;;
    124) grep -q '^(PV) boot took' "$out" || bad=$((bad + 1)) ;; # it runs: into anything
    *)
        bad=$((bad + 1))
        echo "# kernel, seed $seed:"
        tail -n 4 "$out" | comment
        ;;
    esac
done
result $bad '25 mutated kernels: booted or refused'
plan
