/* System V IPC: shared memory, semaphores, message queues; what ends with whom, and who is refused what. */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

#define KEY       0x50564701
#define KEY_OTHER 0x50564702
#define MSG_COPY  040000

union semaphore_argument {
    int value;
    struct semid_ds *set;
    unsigned short *values;
    struct seminfo *info;
};

struct text_message {
    long type;
    char text[64];
};

static int semaphore(int id, int number, int command, int value)
{
    return semctl(id, number, command, (union semaphore_argument){.value = value});
}

static int operate(int id, int number, int operation, int flags)
{
    struct sembuf o = {number, operation, flags};
    return semop(id, &o, 1);
}

/* Run @body in a child as user 1000; its answer. */
static int as_user(int (*body)(int id), int id)
{
    int status;
    fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0) {
        if (setgid(1000) || setuid(1000))
            _exit(99);
        _exit(body(id));
    }
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Wait, for a minute at most, until @condition(id) is true. */
static int becomes(int (*condition)(int id), int id)
{
    for (int i = 0; i < 6000 && !condition(id); i++)
        nanosleep(&(struct timespec){0, 10000000}, NULL);
    return condition(id);
}

/* The file of /proc/sysvipc has a line that begins with @key and @id. */
static int listed(const char *path, int key, int id)
{
    char line[400];
    int found = 0, k, i;
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof(line), f))
        found |= sscanf(line, "%d %d", &k, &i) == 2 && k == key && i == id;
    if (f)
        fclose(f);
    return found;
}

/* ---- Shared memory ---- */

static void check_segment_get(void)
{
    const int id = shmget(KEY, 10000, IPC_CREAT | IPC_EXCL | 0640);
    result(id >= 0 && shmget(KEY, 0, 0) == id && shmget(KEY, 10000, IPC_CREAT | 0600) == id &&
               FAILS(shmget(KEY, 10000, IPC_CREAT | IPC_EXCL), EEXIST) &&
               FAILS(shmget(KEY, 10001, 0), EINVAL) && FAILS(shmget(KEY_OTHER, 1, 0), ENOENT),
           "shmget finds a segment by its key");
    result(FAILS(shmget(IPC_PRIVATE, 0, 0600), EINVAL) &&
               FAILS(shmget(KEY_OTHER, 0, IPC_CREAT | 0600), EINVAL) &&
               FAILS(shmget(IPC_PRIVATE, (size_t)-1, 0600), EINVAL),
           "shmget of no size and of too much");
    struct shmid_ds d;
    result(!shmctl(id, IPC_STAT, &d) && d.shm_segsz == 10000 && d.shm_perm.mode == 0640 &&
               d.shm_perm.__ipc_perm_key == KEY && d.shm_cpid == getpid() && !d.shm_lpid &&
               !d.shm_nattch && !d.shm_atime && !d.shm_dtime && d.shm_ctime &&
               d.shm_perm.uid == getuid() && d.shm_perm.cgid == getgid(),
           "IPC_STAT of a new segment");
    d.shm_perm.mode = 0777 | 01000;
    d.shm_perm.uid = 1000;
    result(!shmctl(id, IPC_SET, &d) && !shmctl(id, IPC_STAT, &d) && d.shm_perm.mode == 0777 &&
               d.shm_perm.uid == 1000 && !d.shm_perm.cuid,
           "IPC_SET changes owner and mode of a segment");
    result(FAILS(shmctl(-1, IPC_STAT, &d), EINVAL) && FAILS(shmctl(id, -1, &d), EINVAL) &&
               FAILS(shmctl(id, 99, &d), EINVAL) && FAILS(shmctl(id + 1, IPC_STAT, &d), EINVAL) &&
               FAILS(shmctl(id, IPC_STAT, (void *)8), EFAULT) &&
               FAILS(shmctl(id, IPC_SET, (void *)8), EFAULT),
           "shmctl's refusals");
    result(listed("/proc/sysvipc/shm", KEY, id), "/proc/sysvipc/shm lists the segment");
    result(!shmctl(id, IPC_RMID, NULL) && FAILS(shmget(KEY, 0, 0), ENOENT) &&
               FAILS(shmctl(id, IPC_STAT, &d), EINVAL) && shmat(id, NULL, 0) == (void *)-1 &&
               errno == EINVAL && !listed("/proc/sysvipc/shm", KEY, id),
           "a segment that was removed is gone");
}

static char *attached;

static void write_segment(void)
{
    attached[5000] = 42;
}

static void check_segment_attach(void)
{
    struct shmid_ds d;
    const int id = shmget(IPC_PRIVATE, 8192, 0600);
    char *const one = attached = shmat(id, NULL, 0), *const other = shmat(id, NULL, SHM_RDONLY);
    one[1] = 7;
    result(one != (char *)-1 && other != (char *)-1 && one != other && other[1] == 7 && !one[0] &&
               !shmctl(id, IPC_STAT, &d) && d.shm_nattch == 2 && d.shm_lpid == getpid() &&
               d.shm_atime,
           "a segment is attached twice, and both show it");
    result(child(write_segment) == 0 && one[5000] == 42 && !shmctl(id, IPC_STAT, &d) &&
               d.shm_nattch == 2,
           "a child has what its parent attached");
    result(FAILS(mprotect(other, 4096, PROT_READ | PROT_WRITE), EACCES),
           "what is attached to be read does not become writable");
    result(shmat(id, one + 1, 0) == (void *)-1 && errno == EINVAL &&
               shmat(id, one, 0) == (void *)-1 && errno == EINVAL &&
               shmat(id, NULL, SHM_REMAP) == (void *)-1 && errno == EINVAL &&
               shmat(-1, NULL, 0) == (void *)-1 && errno == EINVAL,
           "shmat's refusals");
    result(shmat(id, other + 77, SHM_RND | SHM_REMAP) == other && other[1] == 7 &&
               !shmctl(id, IPC_STAT, &d) && d.shm_nattch == 2,
           "SHM_REMAP and SHM_RND");
    result(FAILS(shmdt(one + 4096), EINVAL) && FAILS(shmdt(one + 1), EINVAL) &&
               FAILS(shmdt((void *)0x10000), EINVAL) && !shmdt(other) &&
               FAILS(shmdt(other), EINVAL) && !shmctl(id, IPC_STAT, &d) && d.shm_nattch == 1 &&
               d.shm_dtime,
           "shmdt takes away what shmat has placed, and nothing else");
    result(!shmctl(id, IPC_RMID, NULL) && one[1] == 7 && !shmctl(id, IPC_STAT, &d) &&
               d.shm_perm.mode == (0600 | 01000) && !d.shm_perm.__ipc_perm_key && !shmdt(one) &&
               FAILS(shmctl(id, IPC_STAT, &d), EINVAL),
           "a removed segment stays until nobody has it attached");
}

static void attach_and_end(void)
{
    const int id = shmget(KEY, 0, 0);
    char *at = shmat(id, NULL, 0);
    _exit(at == (char *)-1 || shmctl(id, IPC_RMID, NULL) || !(*at = 1));
}

static void check_segment_end(void)
{
    const int id = shmget(KEY, 4096, IPC_CREAT | 0600);
    struct shmid_ds d;
    result(child(attach_and_end) == 0 && FAILS(shmctl(id, IPC_STAT, &d), EINVAL),
           "the end of a process detaches, and a removed segment goes with it");
}

static int segment_refusals(int id)
{
    struct shmid_ds d;
    if (!FAILS(shmctl(id, IPC_STAT, &d), EACCES))
        return 1;
    if (shmat(id, NULL, SHM_RDONLY) != (void *)-1 || errno != EACCES)
        return 2;
    if (!FAILS(shmctl(id, IPC_RMID, NULL), EPERM))
        return 3;
    memset(&d, 0, sizeof(d));
    if (!FAILS(shmctl(id, IPC_SET, &d), EPERM))
        return 4;
    if (!FAILS(shmctl(id, SHM_LOCK, NULL), EPERM))
        return 5;
    return FAILS(shmget(KEY, 0, 0600), EACCES) ? 0 : 6;
}

static void check_segment_users(void)
{
    struct shmid_ds d = {0};
    const int id = shmget(KEY, 4096, IPC_CREAT | 0600);
    result(as_user(segment_refusals, id) == 0, "another user's segment is refused");
    result(!shmctl(id, SHM_LOCK, NULL) && !shmctl(id, IPC_STAT, &d) && (d.shm_perm.mode & 02000) &&
               !shmctl(id, SHM_UNLOCK, NULL) && !shmctl(id, IPC_STAT, &d) &&
               !(d.shm_perm.mode & 02000),
           "SHM_LOCK is told");
    struct shminfo limits;
    struct shm_info use;
    result(shmctl(0, IPC_INFO, (void *)&limits) >= 0 && limits.shmmni == 4096 &&
               limits.shmmin == 1 && limits.shmmax == ULONG_MAX - (1ul << 24) &&
               shmctl(0, SHM_INFO, (void *)&use) >= 0 && use.used_ids == 1 && use.shm_tot == 1,
           "IPC_INFO and SHM_INFO");
    result(shmctl(shmctl(0, SHM_INFO, (void *)&use), SHM_STAT, &d) == id, "SHM_STAT");
    shmctl(id, IPC_RMID, NULL);
}

/* ---- Semaphores ---- */

static void check_set_get(void)
{
    struct semid_ds d;
    const int id = semget(KEY, 3, IPC_CREAT | IPC_EXCL | 0600);
    result(id >= 0 && semget(KEY, 0, 0) == id && semget(KEY, 3, IPC_CREAT) == id &&
               FAILS(semget(KEY, 4, 0), EINVAL) &&
               FAILS(semget(KEY, 3, IPC_CREAT | IPC_EXCL), EEXIST) &&
               FAILS(semget(KEY_OTHER, 0, IPC_CREAT), EINVAL) &&
               FAILS(semget(KEY_OTHER, -1, IPC_CREAT), EINVAL) &&
               FAILS(semget(KEY_OTHER, 32001, IPC_CREAT), EINVAL) &&
               FAILS(semget(KEY_OTHER, 1, 0), ENOENT),
           "semget");
    unsigned short values[3] = {1, 2, 32767}, got[3];
    union semaphore_argument a = {.values = values}, b = {.values = got}, s = {.set = &d};
    result(!semctl(id, 0, SETALL, a) && !semctl(id, 0, GETALL, b) && !memcmp(values, got, 6) &&
               semaphore(id, 1, GETVAL, 0) == 2 && !semaphore(id, 1, SETVAL, 5) &&
               semaphore(id, 1, GETVAL, 0) == 5 && semaphore(id, 1, GETPID, 0) == getpid(),
           "values of semaphores are set and told");
    values[0] = 40000;
    result(FAILS(semctl(id, 0, SETALL, a), ERANGE) &&
               FAILS(semaphore(id, 0, SETVAL, 32768), ERANGE) &&
               FAILS(semaphore(id, 0, SETVAL, -1), ERANGE) &&
               FAILS(semaphore(id, 3, GETVAL, 0), EINVAL) &&
               FAILS(semaphore(id, -1, SETVAL, 0), EINVAL) &&
               FAILS(semaphore(-1, 0, GETVAL, 0), EINVAL) &&
               FAILS(semaphore(id, 0, 77, 0), EINVAL) && semaphore(id, 0, GETVAL, 0) == 1,
           "semctl's refusals");
    result(!semctl(id, 0, IPC_STAT, s) && d.sem_nsems == 3 && !d.sem_otime && d.sem_ctime &&
               !operate(id, 0, 1, 0) && !semctl(id, 0, IPC_STAT, s) && d.sem_otime,
           "IPC_STAT of semaphores");
    result(listed("/proc/sysvipc/sem", KEY, id), "/proc/sysvipc/sem lists the set");
    result(!semaphore(id, 0, IPC_RMID, 0) && FAILS(semaphore(id, 0, GETVAL, 0), EINVAL),
           "a set that was removed is gone");
}

static void check_operations(void)
{
    const int id = semget(IPC_PRIVATE, 2, 0600);
    struct sembuf both[2] = {{0, -1, IPC_NOWAIT}, {1, -1, IPC_NOWAIT}}, many[501] = {{0}};
    semaphore(id, 0, SETVAL, 1);
    result(FAILS(semop(id, both, 2), EAGAIN) && semaphore(id, 0, GETVAL, 0) == 1 &&
               !semaphore(id, 1, SETVAL, 1) && !semop(id, both, 2) &&
               !semaphore(id, 0, GETVAL, 0) && !semaphore(id, 1, GETVAL, 0),
           "operations are done all or none");
    result(FAILS(semop(id, both, 0), EINVAL) && FAILS(semop(id, many, 501), E2BIG) &&
               FAILS(semop(id, (void *)8, 1), EFAULT) && FAILS(operate(id, 2, 1, 0), EFBIG) &&
               FAILS(operate(-1, 0, 1, 0), EINVAL) && FAILS(operate(id + 1, 0, 1, 0), EINVAL),
           "semop's refusals");
    semaphore(id, 0, SETVAL, 32767);
    result(FAILS(operate(id, 0, 1, 0), ERANGE) && FAILS(operate(id, 0, 0, IPC_NOWAIT), EAGAIN) &&
               !operate(id, 1, 0, 0),
           "a semaphore is never above 32767, and 0 waits for 0");
    struct sembuf down = {1, -1, 0};
    struct timespec soon = {0, 1000000}, bad = {0, 1000000000};
    result(FAILS(semtimedop(id, &down, 1, &soon), EAGAIN) &&
               FAILS(semtimedop(id, &down, 1, &bad), EINVAL) &&
               FAILS(syscall(SYS_semtimedop, id, &down, 1, 8), EFAULT),
           "semtimedop ends when its time is over");
    semaphore(id, 0, IPC_RMID, 0);
}

static int one_waits(int id)
{
    return semaphore(id, 0, GETNCNT, 0) == 1;
}

/* A child that takes one of semaphore 0 and ends with errno. */
static pid_t taker(int id, int flags)
{
    fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0)
        _exit(operate(id, 0, -1, flags) ? errno : 0);
    return pid;
}

static int answer(pid_t pid)
{
    int status;
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void nothing(int number)
{
}

static void check_waits(void)
{
    const int id = semget(IPC_PRIVATE, 1, 0600);
    pid_t pid = taker(id, 0);
    int waited = becomes(one_waits, id);
    result(waited && !operate(id, 0, 1, 0) && answer(pid) == 0 && !semaphore(id, 0, GETVAL, 0) &&
               semaphore(id, 0, GETPID, 0) == pid && !semaphore(id, 0, GETNCNT, 0),
           "who waits for a semaphore is counted, and gets it");
    pid = taker(id, 0);
    waited = becomes(one_waits, id);
    result(waited && !operate(id, 0, 1, 0) && FAILS(operate(id, 0, -1, IPC_NOWAIT), EAGAIN) &&
               answer(pid) == 0,
           "what was given to who waits cannot be taken again");
    signal(SIGUSR1, nothing);
    pid = taker(id, 0);
    waited = becomes(one_waits, id);
    kill(pid, SIGUSR1);
    result(waited && answer(pid) == EINTR && !semaphore(id, 0, GETNCNT, 0),
           "a signal interrupts semop, whatever SA_RESTART says");
    signal(SIGUSR1, SIG_DFL);
    pid = taker(id, 0);
    waited = becomes(one_waits, id);
    result(waited && !semaphore(id, 0, IPC_RMID, 0) && answer(pid) == EIDRM,
           "who waits for a semaphore hears that it was removed");
}

static void check_undo(void)
{
    const int id = semget(IPC_PRIVATE, 1, 0600);
    semaphore(id, 0, SETVAL, 1);
    result(answer(taker(id, SEM_UNDO)) == 0 && semaphore(id, 0, GETVAL, 0) == 1,
           "the end of a process undoes what it took");
    result(answer(taker(id, 0)) == 0 && semaphore(id, 0, GETVAL, 0) == 0,
           "without SEM_UNDO it does not");
    const pid_t holder = fork();
    if (holder == 0) {
        semaphore(id, 0, SETVAL, 1);
        operate(id, 0, -1, SEM_UNDO);
        pause();
    }
    /* The holder dies while another one waits. */
    const pid_t pid = taker(id, 0);
    const int waited = becomes(one_waits, id);
    kill(holder, SIGKILL);
    answer(holder);
    result(waited && answer(pid) == 0, "what is undone wakes who waits");
    semaphore(id, 0, IPC_RMID, 0);
}

static int set_refusals(int id)
{
    struct semid_ds d = {{0}};
    if (!FAILS(semctl(id, 0, IPC_STAT, (union semaphore_argument){.set = &d}), EACCES))
        return 1;
    if (!FAILS(semaphore(id, 0, GETVAL, 0), EACCES) || !FAILS(semaphore(id, 0, SETVAL, 1), EACCES))
        return 2;
    if (!FAILS(operate(id, 0, 1, 0), EACCES) || !FAILS(operate(id, 0, 0, 0), EACCES))
        return 3;
    if (!FAILS(semctl(id, 0, IPC_SET, (union semaphore_argument){.set = &d}), EPERM))
        return 4;
    return FAILS(semaphore(id, 0, IPC_RMID, 0), EPERM) ? 0 : 5;
}

static void check_set_users(void)
{
    struct seminfo info;
    const union semaphore_argument a = {.info = &info};
    const int id = semget(KEY, 2, IPC_CREAT | 0600);
    result(as_user(set_refusals, id) == 0, "another user's semaphores are refused");
    result(semctl(0, 0, IPC_INFO, a) >= 0 && info.semmni == 32000 && info.semmsl == 32000 &&
               info.semopm == 500 && info.semvmx == 32767 && semctl(0, 0, SEM_INFO, a) >= 0 &&
               info.semusz == 1 && info.semaem == 2,
           "IPC_INFO and SEM_INFO");
    semaphore(id, 0, IPC_RMID, 0);
}

/* ---- Message queues ---- */

static int send_text(int id, long type, const char *text, int flags)
{
    struct text_message m = {type};
    strcpy(m.text, text);
    return msgsnd(id, &m, strlen(text), flags);
}

/* Is the next message of @type this one? */
static int next_is(int id, long type, int flags, long got_type, const char *text)
{
    struct text_message m = {0};
    const ssize_t n = msgrcv(id, &m, sizeof(m.text), type, flags | IPC_NOWAIT);
    return n == (ssize_t)strlen(text) && m.type == got_type && !strcmp(m.text, text);
}

static void check_queue_order(void)
{
    const int id = msgget(IPC_PRIVATE, 0600);
    struct text_message m;
    for (int i = 0; i < 6; i++)
        send_text(id, (const long[]){3, 1, 2, 1, 5, 4}[i],
                  (const char *[]){"a", "b", "c", "d", "", "f"}[i], 0);
    result(next_is(id, 1, MSG_COPY, 1, "b") && next_is(id, 0, 0, 3, "a") &&
               next_is(id, 2, 0, 2, "c") && next_is(id, -2, 0, 1, "b") &&
               next_is(id, 1, MSG_EXCEPT, 5, "") && next_is(id, -9, 0, 1, "d") &&
               next_is(id, LONG_MIN, 0, 4, "f") && FAILS(msgrcv(id, &m, 64, 0, IPC_NOWAIT), ENOMSG),
           "messages are received by type");
    send_text(id, 1, "long", 0);
    result(FAILS(msgrcv(id, &m, 2, 0, 0), E2BIG) && msgrcv(id, &m, 2, 0, MSG_NOERROR) == 2 &&
               FAILS(msgrcv(id, &m, 2, 0, IPC_NOWAIT), ENOMSG),
           "a message that is too long is refused, or cut");
    msgctl(id, IPC_RMID, NULL);
}

static void check_queue_refusals(void)
{
    static char big[8200 + sizeof(long)];
    struct msqid_ds d;
    const int id = msgget(KEY, IPC_CREAT | IPC_EXCL | 0600);
    *(long *)big = 1;
    result(id >= 0 && msgget(KEY, 0) == id && FAILS(msgget(KEY, IPC_CREAT | IPC_EXCL), EEXIST) &&
               FAILS(msgget(KEY_OTHER, 0), ENOENT),
           "msgget");
    result(
        FAILS(msgsnd(id, big, 8193, 0), EINVAL) && FAILS(msgsnd(id, big, -1, 0), EINVAL) &&
            FAILS(msgsnd(-1, big, 1, 0), EINVAL) && FAILS(send_text(id, 0, "", 0), EINVAL) &&
            FAILS(send_text(id, -1, "", 0), EINVAL) && FAILS(msgsnd(id, (void *)8, 1, 0), EFAULT) &&
            FAILS(msgrcv(id, big, -1, 0, 0), EINVAL) && FAILS(msgrcv(-1, big, 1, 0, 0), EINVAL) &&
            FAILS(msgrcv(id, big, 1, 0, MSG_COPY), EINVAL) && FAILS(msgctl(id, 99, &d), EINVAL) &&
            FAILS(msgctl(-1, IPC_STAT, &d), EINVAL) &&
            FAILS(msgctl(id, IPC_STAT, (void *)8), EFAULT),
        "refusals of message queues");
    result(!msgctl(id, IPC_STAT, &d) && !d.msg_qnum && d.msg_qbytes == 16384 && !d.msg_lspid &&
               !d.msg_stime && !send_text(id, 1, "four", 0) && !msgctl(id, IPC_STAT, &d) &&
               d.msg_qnum == 1 && d.msg_cbytes == 4 && d.msg_lspid == getpid() && d.msg_stime,
           "IPC_STAT of a message queue");
    d.msg_qbytes = 8;
    result(!msgctl(id, IPC_SET, &d) && FAILS(send_text(id, 1, "eight", IPC_NOWAIT), EAGAIN) &&
               !send_text(id, 1, "four", IPC_NOWAIT),
           "a queue takes as many bytes as IPC_SET says");
    result(listed("/proc/sysvipc/msg", KEY, id), "/proc/sysvipc/msg lists the queue");
    msgctl(id, IPC_RMID, NULL);
}

/* The only child is asleep in a call. */
static pid_t sleeper;
static int sleeps(int id)
{
    return asleep(sleeper, sleeper);
}

static pid_t receiver(int id)
{
    fflush(stdout);
    sleeper = fork();
    if (sleeper == 0) {
        struct text_message m;
        _exit(msgrcv(id, &m, 64, 7, 0) < 0 ? errno : 0);
    }
    return sleeper;
}

static pid_t sender(int id)
{
    fflush(stdout);
    sleeper = fork();
    if (sleeper == 0)
        _exit(send_text(id, 7, "more", 0) < 0 ? errno : 0);
    return sleeper;
}

static void check_queue_waits(void)
{
    struct msqid_ds d;
    const int id = msgget(IPC_PRIVATE, 0600);
    pid_t pid = receiver(id);
    int waited = becomes(sleeps, id);
    result(waited && !send_text(id, 6, "no", 0) && !send_text(id, 7, "yes", 0) &&
               answer(pid) == 0 && next_is(id, 0, 0, 6, "no"),
           "msgrcv waits for a message of its type");
    signal(SIGUSR1, nothing);
    pid = receiver(id);
    waited = becomes(sleeps, id);
    kill(pid, SIGUSR1);
    result(waited && answer(pid) == EINTR, "a signal interrupts msgrcv");
    signal(SIGUSR1, SIG_DFL);
    msgctl(id, IPC_STAT, &d);
    d.msg_qbytes = 6;
    msgctl(id, IPC_SET, &d);
    send_text(id, 1, "some", 0);
    pid = sender(id);
    waited = becomes(sleeps, id);
    result(waited && next_is(id, 1, 0, 1, "some") && answer(pid) == 0 &&
               next_is(id, 0, 0, 7, "more"),
           "msgsnd waits for room");
    pid = receiver(id);
    waited = becomes(sleeps, id);
    result(waited && !msgctl(id, IPC_RMID, NULL) && answer(pid) == EIDRM,
           "who waits for a message hears that the queue was removed");
}

/* What SHM_REMAP replaces was all that there was of the segment. */
static void check_segment_again(void)
{
    struct shmid_ds d;
    const int id = shmget(IPC_PRIVATE, 8192, 0600);
    int *m = shmat(id, NULL, 0);
    int good = id >= 0 && m != (void *)-1 && shmctl(id, IPC_RMID, NULL) == 0;
    m[1024] = 42;
    good &= shmat(id, m, SHM_REMAP) == m && m[1024] == 42 && shmctl(id, IPC_STAT, &d) == 0 &&
            d.shm_nattch == 1;
    result(good && shmdt(m) == 0 && FAILS(shmctl(id, IPC_STAT, &d), EINVAL),
           "a removed segment is attached again in its own place");
}

/* Attached for reading it is for reading, wherever it is moved. */
static void check_segment_read_only(void)
{
    const int id = shmget(IPC_PRIVATE, 4096, 0400);
    char *m = shmat(id, NULL, SHM_RDONLY),
         *to = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *moved = mremap(m, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, to);
    char *twice = mremap(moved, 0, 4096, MREMAP_MAYMOVE);
    const int writable = PROT_READ | PROT_WRITE;
    result(moved == to && twice != MAP_FAILED && FAILS(mprotect(moved, 4096, writable), EACCES) &&
               FAILS(mprotect(twice, 4096, writable), EACCES),
           "a segment that is attached for reading stays so when it is moved");
    munmap(moved, 4096);
    munmap(twice, 4096);
    shmctl(id, IPC_RMID, NULL);
}

static int queue_refusals(int id)
{
    struct msqid_ds d = {{0}};
    struct text_message m;
    if (!FAILS(msgctl(id, IPC_STAT, &d), EACCES))
        return 1;
    if (!FAILS(send_text(id, 1, "", 0), EACCES) ||
        !FAILS(msgrcv(id, &m, 64, 0, IPC_NOWAIT), EACCES))
        return 2;
    if (!FAILS(msgctl(id, IPC_SET, &d), EPERM) || !FAILS(msgctl(id, IPC_RMID, NULL), EPERM))
        return 3;
    const int own = msgget(IPC_PRIVATE, 0600);
    if (msgctl(own, IPC_STAT, &d))
        return 4;
    d.msg_qbytes = 16385;
    if (!FAILS(msgctl(own, IPC_SET, &d), EPERM))
        return 5;
    return msgctl(own, IPC_RMID, NULL) ? 6 : 0;
}

static void check_queue_users(void)
{
    struct msginfo info;
    const int id = msgget(KEY, IPC_CREAT | 0600);
    result(as_user(queue_refusals, id) == 0, "another user's message queue is refused");
    send_text(id, 1, "four", 0);
    result(msgctl(0, IPC_INFO, (void *)&info) >= 0 && info.msgmni == 32000 && info.msgmax == 8192 &&
               info.msgmnb == 16384 && msgctl(0, MSG_INFO, (void *)&info) >= 0 &&
               info.msgpool == 1 && info.msgmap == 1 && info.msgtql == 4,
           "IPC_INFO and MSG_INFO");
    msgctl(id, IPC_RMID, NULL);
}

void check_ipc(void)
{
    check_segment_get();
    check_segment_attach();
    check_segment_end();
    check_segment_again();
    check_segment_read_only();
    check_segment_users();
    check_set_get();
    check_operations();
    check_waits();
    check_undo();
    check_set_users();
    check_queue_order();
    check_queue_refusals();
    check_queue_waits();
    check_queue_users();
}
