#!/bin/sh
# README's recipe for GRUB, line by line as it stands there; and with a kernel that GRUB cannot unpack, as README says.
#   test-recipe.sh BUILD SOURCE
set -u
. "$(dirname "$0")/tap.sh"
. "$(dirname "$0")/linux-guest.sh"
source=$2
need "$guests/grub/usr/bin/grub-mkimage" 'grub-mkimage'
need "$(kernel_of cloud-amd64)" 'the cloud kernel'

# The indented lines of the chapter, from the copy of the kernel to the run.
sed -n '/^\*\*GRUB\.\*\*/,/^## /p' "$source/README.md" | sed -n 's/^    //p' >"$work/recipe"
grep -q 'grub-mkimage' "$work/recipe" && grep -q 'paravane run' "$work/recipe"
result $? 'README has a recipe'
cook() { # WHAT: in a folder with nothing but the build
    rm -rf "$work/kitchen"
    mkdir "$work/kitchen"
    ln -s "$build" "$work/kitchen/build"
    (cd "$work/kitchen" && printf 'echo it is $((6*7))\nexit\n' | timeout 400 sh -e "$work/recipe") >"$out" 2>"$err"
    judge "$1: the recipe ends well" 0 $?
    says "$1: Linux runs, with a shell" 'it is 42'
    grep -q 'not xen image' "$out"
    [ $? = 1 ]
    result $? "$1: GRUB can load it"
}
cook "Debian's default kernel"
sed -i "s|^cp .*vmlinuz .*|build/tools/paravane inspect -u vmlinuz $(kernel_of cloud-amd64)|" "$work/recipe"
cook "Debian's cloud kernel, unpacked"
plan
