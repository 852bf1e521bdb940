/* What the questions of check share. */
#pragma once

#include <sys/types.h>

/* Tell TAP the answer to a question. */
void result(int good, const char *what);
/* Run @body in a child; its wait status. */
int child(void (*body)(void));
int died_of(int status, int signal);
/* Is thread @tid of @pid asleep in a call?  The kernel says so in /proc. */
int asleep(pid_t pid, pid_t tid);
/* Did the call fail with this errno?  @rc is what it returned. */
#define FAILS(rc, error) ((rc) == -1 && errno == (error))

/* One for each group of questions. */
void check_addresses(void);      /* addresses.c */
void check_mappings(void);       /* mappings.c */
void check_names(void);          /* names.c */
void check_transfers(void);      /* transfers.c */
void check_locks(void);          /* transfers.c */
void check_events(void);         /* events.c */
void check_queued_signals(void); /* signals.c */
void check_timers(void);         /* signals.c */
void check_threads(void);        /* threads.c */
void check_futexes(void);        /* threads.c */
void check_families(void);       /* families.c */
void check_programs(void);       /* programs.c */
void check_proc(void);           /* proc.c */
void check_mounts(void);         /* proc.c */
void check_limits(void);         /* programs.c */

void check_random(void);              /* random.c */
void check_refusals(void);            /* refusals.c */
void check_users(void);               /* users.c */
void check_cpu_time(void);            /* cpu-time.c */
void check_terminals(void);           /* terminals.c */
void check_pidfds(void);              /* pidfd.c */
void check_splices(void);             /* pipes.c */
void check_more_of_descriptors(void); /* descriptors.c */
void check_policies(void);            /* policies.c */
void check_memory_advice(void);       /* advice.c */
void check_corners(void);             /* corners.c */
void check_watches(void);             /* watches.c */
void check_sockets(void);             /* sockets.c */
void check_more_of_mounts(void);      /* mounts.c */
void check_capabilities(void);        /* capabilities.c */
void check_openings(void);            /* openings.c */
void check_settings(void);            /* settings.c */
void check_ipc(void);                 /* ipc.c */
void check_nonsense(void);            /* nonsense.c */
int nonsense_rounds(int argc, char **argv);
void check_aio(void);              /* aio.c */
void check_inet(void);             /* inet.c */
void check_queues(void);           /* queues.c */
void check_meanwhile(void);        /* meanwhile.c */
void check_privcmd(void);          /* privcmd.c */
int queues_told(void);             /* queues.c: the answer of the program that it executes */
void check_file_attributes(void);  /* attributes.c */
void sockets_cycle(void);          /* sockets.c: make, connect, pass and close some */
int capabilities_after_exec(void); /* capabilities.c: the answer of the program that it executes */
int users_set_id(int same);        /* users.c: the answer of the program that it executes */

/* What check does when it has been executed by itself. */
int program(int argc, char **argv);
