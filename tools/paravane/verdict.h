/*
 * The verdicts: every way in which `paravane` can end, with its exit code.
 *
 * VERDICT_LIST expands into the enum, the names, `paravane explain CODE` and
 * the table in tools/README.md (tests/boot/test-pages.sh checks that).
 *
 *   V(NAME, code, "what it means", "what to do about it")
 */
#pragma once

/* clang-format off */
#define VERDICT_LIST(V)                                                                            \
    V(OK, 0, "the guest ended of its own will, and said nothing of a failure",                     \
      "Nothing is to be done.")                                                                    \
    V(GUEST_FAILED, 1, "the guest ended well, but reported a failure",                             \
      "With --tap: a `not ok` line, a plan that is missing or not fulfilled, or `Bail out!`. "     \
      "Else: its init exited with a nonzero status. Read the lines above the verdict.")            \
    V(USAGE, 2, "the command line is wrong",                                                       \
      "`paravane help` shows the commands, `paravane help run` the options of run.")               \
    V(NO_FILE, 10, "a file that was named cannot be read, or is too large to be loaded",           \
      "Check the path and the permissions. With xl.cfg files, relative paths count from the "      \
      "current folder first, then from the folder of the file.")                                   \
    V(NOT_ELF, 11, "the kernel is neither an ELF file nor a bzImage",                              \
      "Give the kernel itself (vmlinux, vmlinuz or another PV image), not a disk or an archive. "  \
      "`file KERNEL` says what it is.")                                                            \
    V(NO_XEN_NOTES, 12, "the kernel has no ELF notes of owner \"Xen\" for paravirtualized boot",   \
      "It was built without PV support. Linux needs CONFIG_XEN_PV=y; other kernels need the "      \
      "notes of <xen/elfnote.h>. `paravane inspect KERNEL` shows what is there.")                  \
    V(PV32, 13, "the kernel is a 32-bit paravirtualized guest",                                    \
      "Only x86-64 guests run here: Xen dropped the 32-bit PV kernels of Linux, too. Use the "     \
      "amd64 build of the kernel.")                                                                \
    V(BAD_KERNEL, 14, "the kernel has Xen notes but cannot be loaded; or not with --native",       \
      "It is cut off, its segments contradict each other, its compressed payload is broken, or it "\
      "demands a feature that PV guests do not have. `paravane inspect KERNEL` names the reason.") \
    V(BAD_CONFIG, 15, "an xl.cfg file cannot be used",                                             \
      "The message names file and line. `xl.cfg(5)` describes the syntax; tools/README.md lists "  \
      "the keys that mean something here.")                                                        \
    V(TOO_LITTLE_MEMORY, 16, "the domain has less memory than its kernel and ramdisk need",        \
      "Raise -m (or memory= in the xl.cfg file).")                                                 \
    V(BAD_TREE, 17, "the hypervisor found the device tree of domains malformed",                   \
      "paravane writes well-formed trees, so this is a tree given by --tree. "                     \
      "hypercall-abi/hyperlaunch.md is the binding.")                                              \
    V(CANNOT_BOOT, 18, "the hypervisor could not start the domains",                               \
      "The line `(PV) cannot boot: ...` (or Xen's panic) says why.")                               \
    V(GUEST_CRASHED, 20, "a domain crashed, or its watchdog fired",                                \
      "The dump above the verdict shows registers, stack and the last hypercalls. Run again with " \
      "--explain to see each refused hypercall when it happens, with --gdb to stop it.")           \
    V(HYPERVISOR_BUG, 21, "the hypervisor itself failed",                                          \
      "No guest may cause this: please report it with the dump and the guest image.")              \
    V(TIMEOUT, 22, "the guest had not ended when --timeout was over",                              \
      "The message quotes the last line of the console. Raise --timeout, or look why it hangs "    \
      "with --explain or --gdb.")                                                                  \
    V(QEMU_FAILED, 23, "QEMU could not start the machine, or died",                                \
      "QEMU's own message is above. --print-command shows how it was called.")                     \
    V(NO_QEMU, 24, "qemu-system-x86_64 is not installed, or not executable",                       \
      "tools/setup installs it (Debian package qemu-system-x86). PARAVANE_QEMU names another one.")\
    V(HOST_FAILED, 25, "this machine refused something that paravane needs",                       \
      "Out of memory, of file descriptors, or of space, or nobody reads what is written (then some "\
      "of the output is lost, and the run ends at once): the message names it.")              \
    V(INTERRUPTED, 130, "a signal ended the run (Ctrl-C, or Ctrl-] on a terminal)",                \
      "QEMU was ended, too.")
/* clang-format on */

enum verdict {
#define V(name, code, meaning, advice) VERDICT_##name = code,
    VERDICT_LIST(V)
#undef V
};

/* Print "paravane: <sentence>" on stderr and return @v, so that errors read
 * `return verdict_say(VERDICT_NO_FILE, "cannot read %s: %s; check ...", ...)`. */
enum verdict verdict_say(enum verdict v, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* As verdict_say, but only a warning: "paravane: warning: ..." */
void verdict_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* As verdict_say, for who asked with --verbose: "paravane: ..." */
void verdict_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "GUEST_CRASHED", or NULL if no verdict has this code. */
const char *verdict_name(int code);
