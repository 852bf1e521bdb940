/*
 * /proc/sys: what an administrator could change on Linux, and here can only be read.
 *
 * Programs ask it for limits; those of this kernel are what it says.
 */
#include "file.h"
#include "mqueue.h"
#include "proc-node.h"

#define TEXT_OF(number)  TEXT_OF_(number)
#define TEXT_OF_(number) #number

static const struct node random_table[] = {
    FILE_NODE("boot_id", boot_id),
    CONSTANT_NODE("entropy_avail", "256"),
    CONSTANT_NODE("poolsize", "256"),
    FILE_NODE("uuid", uuid),
    END_NODE,
};

static const struct node kernel_table[] = {
    CONSTANT_NODE("cap_last_cap", "40"),
    CONSTANT_NODE("core_pattern", "core"),
    CONSTANT_NODE("core_uses_pid", "0"),
    FILE_NODE("domainname", domainname),
    FILE_NODE("hostname", hostname),
    FILE_NODE("msgmax", msgmax),
    FILE_NODE("msgmnb", msgmnb),
    FILE_NODE("msgmni", msgmni),
    CONSTANT_NODE("ngroups_max", "65536"),
    FILE_NODE("osrelease", osrelease),
    FILE_NODE("ostype", ostype),
    CONSTANT_NODE("overflowgid", "65534"),
    CONSTANT_NODE("overflowuid", "65534"),
    CONSTANT_NODE("panic", "0"),
    FILE_NODE("pid_max", pid_max),
    CONSTANT_NODE("printk", "7\t4\t1\t7"),
    DIR_NODE("random", random_table, NULL),
    CONSTANT_NODE("randomize_va_space", "0"),
    CONSTANT_NODE("sched_rr_timeslice_ms", "100"),
    FILE_NODE("sem", semaphore_limits),
    FILE_NODE("shmall", shmall),
    FILE_NODE("shmmax", shmall),
    FILE_NODE("shmmni", shmmni),
    CONSTANT_NODE("sysrq", "1"),
    CONSTANT_NODE("tainted", "0"),
    FILE_NODE("threads-max", threads_max),
    FILE_NODE("version", kernel_version),
    END_NODE,
};

static const struct node inotify_table[] = {
    CONSTANT_NODE("max_queued_events", "16384"),
    CONSTANT_NODE("max_user_instances", "128"),
    CONSTANT_NODE("max_user_watches", "8192"),
    END_NODE,
};

static const struct node mqueue_table[] = {
    CONSTANT_NODE("msg_default", TEXT_OF(MQUEUE_MESSAGES_MOST)),
    CONSTANT_NODE("msg_max", TEXT_OF(MQUEUE_MESSAGES_MOST)),
    CONSTANT_NODE("msgsize_default", TEXT_OF(MQUEUE_SIZE_MOST)),
    CONSTANT_NODE("msgsize_max", TEXT_OF(MQUEUE_SIZE_MOST)),
    CONSTANT_NODE("queues_max", TEXT_OF(MQUEUE_QUEUES_MOST)),
    END_NODE,
};

static const struct node fs_table[] = {
    CONSTANT_NODE("aio-max-nr", "65536"),
    CONSTANT_NODE("file-max", "9223372036854775807"),
    CONSTANT_NODE("file-nr", "0\t0\t9223372036854775807"),
    DIR_NODE("inotify", inotify_table, NULL),
    CONSTANT_NODE("lease-break-time", "45"),
    CONSTANT_NODE("leases-enable", "1"),
    DIR_NODE("mqueue", mqueue_table, NULL),
    CONSTANT_NODE("nr_open", TEXT_OF(FILES_MAX)),
    CONSTANT_NODE("overflowgid", "65534"),
    CONSTANT_NODE("overflowuid", "65534"),
    CONSTANT_NODE("pipe-max-size", "1048576"),
    CONSTANT_NODE("pipe-user-pages-hard", "0"),
    CONSTANT_NODE("pipe-user-pages-soft", "16384"),
    CONSTANT_NODE("protected_hardlinks", "0"),
    CONSTANT_NODE("protected_symlinks", "0"),
    CONSTANT_NODE("suid_dumpable", "0"),
    END_NODE,
};

static const struct node vm_table[] = {
    CONSTANT_NODE("max_map_count", "65530"),
    CONSTANT_NODE("mmap_min_addr", "4096"),
    CONSTANT_NODE("nr_hugepages", "0"),
    FILE_NODE("overcommit_memory", overcommit),
    CONSTANT_NODE("overcommit_ratio", "50"),
    CONSTANT_NODE("swappiness", "60"),
    END_NODE,
};

static const struct node core_table[] = {CONSTANT_NODE("somaxconn", "4096"), END_NODE};
static const struct node net_table[] = {DIR_NODE("core", core_table, NULL), END_NODE};

const struct node proc_sys_table[] = {
    DIR_NODE("fs", fs_table, NULL),
    DIR_NODE("kernel", kernel_table, NULL),
    DIR_NODE("net", net_table, NULL),
    DIR_NODE("vm", vm_table, NULL),
    END_NODE,
};
