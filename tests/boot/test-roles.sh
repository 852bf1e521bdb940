#!/bin/sh
# A tree that starts domain 0 and guests together, and gives roles to others: each may what its role says, and no more.
#   test-roles.sh BUILD
set -u
. "$(dirname "$0")/tap.sh"

# domain NAME MODULE PROPERTIES [WORDS]: one of the tree's.
domain() {
    printf '%s { compatible = "xen,domain"; mode = <5>; memory = <0 0x8000>; cpus = <1>; %s
        module@%s { compatible = "module,kernel", "multiboot,module"; mb-index = <%s>; bootargs = "%s"; }; };' "$1" "$3" "$2" "$2" "${4:-}"
}
tree() {
    printf '/dts-v1/; / { chosen { hypervisor { #address-cells = <1>; #size-cells = <0>;
        compatible = "hypervisor,xen"; %s }; }; };' "$1" >"$work/tree.dts"
    dtc -q -f -I dts -O dtb -o "$work/tree.dtb" "$work/tree.dts" 2>"$work/dtc" || cat "$work/dtc"
}
guests=$build/tests/guest
run() { "$paravane" run --timeout 100 --machine-memory 256 --tree "$work/tree.dtb" "$@"; }

# answers NAME: what the TAP of domain NAME says, without its prefix.
answers() { sed -n "s/^($1) \(ok\|not ok\)/\1/p" "$out"; }
all_good() { # WHO WHAT LEAST
    answers "$1" >"$work/said"
    [ "$(grep -c '^ok' "$work/said")" -ge "$3" ] && ! grep -q '^not ok' "$work/said"
    result $? "$2"
    grep '^not ok' "$work/said" | head -n 5 | comment
}

role() { sed -n "s/^($1) # role $2: *//p" "$out"; }
gets() { # DOMAIN ROLE ANSWER
    [ "$(role "$1" "$2")" = "$3" ]
    result $? "$1 asks for what the role $2 has: $3"
}

# Domain 0, which waits for the guest, and the image messages, which asks without a role.
tree "$(domain zero 1 'functions = <0x80000000>; domid = <0>;' wait=1) $(domain guest 2 'domid = <1>;')"
for image in roles messages; do
    printf 'name = "%s"\nkernel = "%s"\nmemory = 32\n' $image "$guests/$image" >"$work/$image.cfg"
done
run "$work/roles.cfg" "$work/messages.cfg" >"$out" 2>"$err" </dev/null
gets d0 hardware 0
gets d0 control 0
all_good d1 'a guest of the same tree gets -EPERM' 12

# The hardware role for a domain that is not domain 0: the image roles says what it got.
tree "$(domain driver 1 'domid = <1>; permissions = <2>;') $(domain toolstack 1 'domid = <2>; permissions = <1>;') $(domain guest 1 'domid = <3>;')"
run "$guests/roles" >"$out" 2>"$err" </dev/null
for line in 'd1 hardware 0' 'd1 control -1' 'd2 hardware -1' 'd2 control 0' 'd3 hardware -1' 'd3 control -1'; do
    # shellcheck disable=SC2086
    gets $line
done

# Two with the hardware role share the messages; alone one has them all.
says() { # DOMAIN LINE WHAT
    grep -qxF "($1) # $2" "$out"
    result $? "$3"
    grep "($1) # ${2%%:*}" "$out" | comment
}
tree "$(domain one 1 'domid = <1>; permissions = <2>;' messages=1) $(domain other 1 'domid = <2>; permissions = <2>;' messages=1)"
run "$guests/roles" >"$out" 2>"$err" </dev/null
says d1 'messages: 48, then -28' 'one of two has its share of the messages'
says d2 'messages: 48, then -28' 'and so has the other'
tree "$(domain one 1 'domid = <1>; permissions = <2>;' messages=1)"
run "$guests/roles" >"$out" 2>"$err" </dev/null
grep -qx '# messages: 96, then -28' "$out"
result $? 'who is alone has all'

# A device that a domain lets write to memory does not outlive it as such.
tree "$(domain one 1 'domid = <1>; permissions = <2>;' master=1) $(domain other 1 'domid = <2>; permissions = <2>;' after=1)"
run --net "$guests/roles" >"$out" 2>"$err" </dev/null
says d1 'master: 1' 'a domain lets a device write to memory'
says d2 'master: 0' 'when it has ended the device does not any more'
# The same for who did not end.
tree "$(domain one 1 'domid = <1>; permissions = <2>;') $(domain other 1 'domid = <2>; permissions = <2>;' 'master=1 after=1')"
run --net "$guests/roles" >"$out" 2>"$err" </dev/null
[ "$(grep -c '^(d2) # master: 1' "$out")" = 2 ]
result $? 'the device of another goes on'
plan
