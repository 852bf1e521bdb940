#!/bin/sh
# `paravane strace`: the sample guest's word `calls` makes a known sequence of hypercalls (sample/calls.c);
# are they traced to the letter, filtered and counted?
#   test-strace.sh BUILD
set -u
. "$(dirname "$0")/tap.sh"
trace=$work/trace

# What may differ from build to build: addresses in the guest's image, and the first free port.
level() {
    sed 's/  *<[0-9a-f]*>.*//; s/0xffffffff801[0-9a-f]*/STACK/g; s/port=[0-9]*/port=N/; s/port [0-9]* /port N /' "$1"
}

same() { # WHAT, and the expected lines on stdin
    cat >"$work/expected"
    level "$trace" >"$work/got"
    if cmp -s "$work/expected" "$work/got"; then
        result 0 "$1"
    else
        result 1 "$1"
        diff "$work/expected" "$work/got" | comment
    fi
}

ask 'a guest is traced' 0 "$paravane" strace -o "$trace" "$sample" calls
same 'every call, decoded' <<'EOS'
d1v0 event_channel_op(EVTCHNOP_alloc_unbound, {domain=DOMID_SELF, remote=DOMID_SELF}) = 0 {port=N}
d1v0 event_channel_op(EVTCHNOP_close, {port=N}) = 0
d1v0 event_channel_op(EVTCHNOP_close, {port=N}) = -EINVAL refused EV-014: port N is not open
d1v0 grant_table_op(GNTTABOP_query_size, {domain=DOMID_SELF}, 1) = 0 {frames=1, most=64, status=0}
d1v0 xen_version(XENVER_extraversion, STACK) = 0 {text=".0-paravane"}
d1v0 physdev_op(PHYSDEVOP_set_iopl, {iopl=4}) = -EINVAL refused CP-007: I/O privilege level 4
d1v0 event_channel_op(EVTCHNOP_send, 0xffffc00000000000) = -EFAULT refused HC-002: argument at ffffc00000000000 cannot be read or written
d1v0 xen_version(XENVER_version, NULL) = 262161
d1v0 vm_assist(VMASST_CMD_enable, VMASST_TYPE_writable_pagetables) = 0
d1v0 vm_assist(VMASST_CMD_disable, 77) = -EINVAL refused ME-020: vm_assist type 77 does not exist
d1v0 vcpu_op(VCPUOP_is_up, 0, NULL) = 1
d1v0 vcpu_op(VCPUOP_is_up, 63, NULL) = -ENOENT refused VC-001: vCPU 63 does not exist
d1v0 set_timer_op(0) = 0
d1v0 update_va_mapping(0xffffc00000000000, 0x8000000000000067, 0x2) = -EINVAL refused PT-014: no L1 table maps ffffc00000000000
d1v0 hypercall_62(0x11, 0x22, ...) = -ENOSYS refused HC-001: hypercall 62 is not served
d1v0 mmu_update([{ptr=0xffffffff000, val=0}, {ptr=0xffffffff000|MMU_MACHPHYS_UPDATE, val=0x10}, {ptr=0xffffffff000|MMU_PT_UPDATE_PRESERVE_AD, val=0x20}, {ptr=0xffffffff000|MMU_PT_UPDATE_NO_TRANSLATE, val=0x30}, ... 4 more], 8, STACK, DOMID_SELF) = -EINVAL refused PT-012: frame ffffffff is not this domain's RAM, or is a descriptor table (role 18446744073709551615)
d1v0 mmuext_op([{cmd=MMUEXT_TLB_FLUSH_LOCAL, arg1=0, arg2=0}, {cmd=MMUEXT_INVLPG_LOCAL, arg1=0xffffffff80000000, arg2=0}], 2, NULL, DOMID_SELF) = 0
d1v0 mmuext_op([{cmd=MMUEXT_UNPIN_TABLE, arg1=0xffffffffff, arg2=0}], 1, NULL, DOMID_SELF) = -EINVAL refused MX-001: frame ffffffffff is not this domain's RAM
d1v0 set_trap_table(NULL) = 0
d1v0   [0] fpu_taskswitch(0) = 0
d1v0   [1] hypercall_61(...) = -ENOSYS refused HC-001: hypercall 61 is not served
d1v0   [2] set_segment_base(SEGBASE_FS, 0xffffc00000000000) = 0
d1v0   [3] set_segment_base(SEGBASE_FS, 0x8000000000000000) = -EINVAL refused CP-001: segment base 0: 8000000000000000 is not canonical
d1v0   [4] multicall(...) = -EINVAL refused HC-003: multicall inside a multicall
d1v0 multicall(STACK, 5) = 0
d1v0 sched_op(SCHEDOP_shutdown, {reason=SHUTDOWN_poweroff}) = 0
EOS
holds "$trace" 'callers have names' '> shut_down+0x'

# Filters: by name, of sub-operations too, by what is not wanted, by result, by domain, and all at once.
ask 'names' 0 "$paravane" run --strace=set_timer_op,EVTCHNOP_close,MMUEXT_INVLPG_LOCAL -o "$trace" "$sample" calls
same 'leave only these' <<'EOS'
d1v0 event_channel_op(EVTCHNOP_close, {port=N}) = 0
d1v0 event_channel_op(EVTCHNOP_close, {port=N}) = -EINVAL refused EV-014: port N is not open
d1v0 set_timer_op(0) = 0
d1v0 mmuext_op([{cmd=MMUEXT_TLB_FLUSH_LOCAL, arg1=0, arg2=0}, {cmd=MMUEXT_INVLPG_LOCAL, arg1=0xffffffff80000000, arg2=0}], 2, NULL, DOMID_SELF) = 0
EOS
ask 'words together' 0 "$paravane" strace -e 'refused,d1,event_channel_op,multicall,!EVTCHNOP_send' -o "$trace" "$sample" calls
same 'must all fit' <<'EOS'
d1v0 event_channel_op(EVTCHNOP_close, {port=N}) = -EINVAL refused EV-014: port N is not open
d1v0   [4] multicall(...) = -EINVAL refused HC-003: multicall inside a multicall
EOS
ask 'another domain' 0 "$paravane" strace -e 'd2' -o "$trace" "$sample" calls
same 'made no call' </dev/null
ask 'privileged, from plain modules' 0 "$paravane" strace --dom0 -e console_io -o "$trace" "$sample" 'say:a"~'
same 'text is text' <<'EOS'
d0v0 console_io(CONSOLEIO_write, 1, "a") = 0
d0v0 console_io(CONSOLEIO_write, 1, "\"") = 0
d0v0 console_io(CONSOLEIO_write, 1, "\n") = 0
EOS

ask 'emulated instructions' 0 "$paravane" strace -e 'emulations,sched_op' -o "$trace" "$sample" emulations calls
sed -i 's/= 0x4000000., /= N, /; s/\(rdmsr(0xc0000080)\) = .*/\1 = N/' "$trace"
same 'come on demand' <<'EOS'
d1v0 emulated cpuid(0x40000000, 0) = N, 0x566e6558, 0x65584d4d, 0x4d4d566e
d1v0 emulated mov_from_cr(0)
d1v0 emulated rdmsr(0xc0000080) = N
d1v0 sched_op(SCHEDOP_shutdown, {reason=SHUTDOWN_poweroff}) = 0
EOS

# The table: counts are the guest's, failures and refusals too; instructions are the same every time.
table() { # FILE: "calls failed refused name"
    awk 'NR > 1 { name = $7; for (i = 8; i <= NF; i++) name = name " " $i; print $4, $5, $6, name }' "$1" | sort
}
ask 'a table' 0 "$paravane" run --summary -o "$trace" --icount "$sample" calls
cp "$trace" "$work/first"
table "$trace" >"$work/got"
cat >"$work/expected" <<'EOS'
1 0 0 event_channel_op EVTCHNOP_alloc_unbound
1 0 0 fpu_taskswitch
1 0 0 grant_table_op GNTTABOP_query_size
1 0 0 mmuext_op MMUEXT_TLB_FLUSH_LOCAL
1 0 0 sched_op SCHEDOP_shutdown
1 0 0 set_timer_op
1 0 0 set_trap_table
1 0 0 vm_assist VMASST_CMD_enable
1 0 0 xen_version XENVER_extraversion
1 0 0 xen_version XENVER_version
1 1 1 event_channel_op EVTCHNOP_send
1 1 1 hypercall_61
1 1 1 hypercall_62
1 1 1 mmu_update
1 1 1 mmuext_op MMUEXT_UNPIN_TABLE
1 1 1 physdev_op PHYSDEVOP_set_iopl
1 1 1 update_va_mapping
1 1 1 vm_assist VMASST_CMD_disable
2 1 1 event_channel_op EVTCHNOP_close
2 1 1 multicall
2 1 1 set_segment_base SEGBASE_FS
2 1 1 vcpu_op VCPUOP_is_up
26 12 12 all
EOS
if sort "$work/expected" | cmp -s - "$work/got"; then
    result 0 'its counts'
else
    result 1 'its counts'
    sort "$work/expected" | diff - "$work/got" | comment
fi
# A multicall's own: neither its entries nor what recording them takes, which is some 500 instructions each.
result "$(awk '$7 == "multicall" && $2 < 700 { good = 1 } END { print !good }' "$trace")" 'a multicall has its own cost only'
ask 'and again' 0 "$paravane" run --summary -o "$trace" --icount "$sample" calls
result "$(cmp -s "$trace" "$work/first"; echo $?)" 'to the instruction'

# Nothing is lost, and nobody waits for ever, when there is far more than the ring holds: 8 MiB, about 50,000 records.
ask 'many calls' 0 "$paravane" strace -o "$trace" --cpus 2 "$sample" yield:100000 poweroff
result "$([ "$(grep -c 'sched_op(SCHEDOP_yield, NULL) = 0' "$trace")" = 100000 ]; echo $?)" 'are all there'
ask 'a machine that is ended' 22 "$paravane" strace -o "$trace" --timeout 10 "$sample" yield:10 block
result "$([ "$(grep -c SCHEDOP_yield "$trace")" = 10 ]; echo $?)" 'leaves what it recorded before it slept'
ask 'a crash' 20 "$paravane" strace -q -o "$trace" "$sample" yield:3 fault
result "$([ "$(grep -c SCHEDOP_yield "$trace")" = 3 ]; echo $?)" 'leaves it, too'

# Several domains, each with its own number and its own symbols.
ask 'two guests' 0 "$paravane" strace -o "$trace" --copies 2 "$sample" yield:5 poweroff
result "$([ "$(grep -c 'd1v0 .*yield' "$trace")$(grep -c 'd2v0 .*yield' "$trace")" = 55 ]; echo $?)" 'are told apart'

# Names for addresses, from where the user says.
printf 'ffffffff80000000 T everything\n' >"$work/System.map"
ask 'a System.map' 0 "$paravane" strace -o "$trace" --symbols "$work/System.map" "$sample"
holds "$trace" 'gives the names' '> everything+0x'

# What cannot be done, in one sentence.
ask 'a name that is none' 2 "$paravane" strace -e mmu_update,nonsense "$sample"
told 'is quoted' '"nonsense" is no hypercall'
ask 'an output that cannot be' 10 "$paravane" strace -o "$work/none/trace" "$sample"
told 'is named' "$work/none/trace"
ask 'symbols that are not there' 10 "$paravane" strace --symbols "$work/none" "$sample"
ask 'a command to be printed' 2 "$paravane" strace --print-command "$sample"
ask 'no hypervisor' 2 "$paravane" strace --native "$sample"
plan
