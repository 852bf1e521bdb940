/* The commands of `paravane`: each takes its own argv (argv[0] is its name) and returns a verdict.
 */
#pragma once

/* C(name, "arguments", "what it does") */
#define COMMAND_LIST(C)                                                           \
    C(run, "[options] KERNEL [args...] | FILE.cfg ...",                           \
      "boot guests in QEMU, exit with the verdict")                               \
    C(strace, "[options of run] KERNEL [args...] | FILE.cfg ...",                 \
      "the same, and print every hypercall")                                      \
    C(inspect, "[-o json | -u FILE] KERNEL",                                      \
      "print an image's notes and say whether it boots; -u: unpack it")           \
    C(explain, "[VERDICT | CODE | RULE]", "what an exit code or a refusal means") \
    C(hypercalls, "[NAME]", "list the hypercalls, or show one")                   \
    C(help, "[run]", "show this")

#define C(name, arguments, help) int command_##name(int argc, char **argv);
COMMAND_LIST(C)
#undef C
