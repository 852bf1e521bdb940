/*
 * The store's client: requests that wait for their answers, and watches.
 *
 * One request is under way at a time, its number tells its answer.  Events of watches are kept until xenstore_serve comes
 * to them, each once however often it has been told: a watch says that something has changed, not what.
 */
#include <stdint.h>

#include <xen/io/xs_wire.h>

#include "drivers/xenstore-ring.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/print.h"
#include "kernel/lib/text.h"
#include "kernel/memory/heap.h"
#include "kernel/tasks/sched/wait.h"
#include "platform/xen/machine.h"
#include "platform/xen/xenstore.h"

#define FIRST_NUMBER 0x10000 /* of our requests; those below are control.c's */
#define EVENTS_MOST  256 /* that wait: no more watches with different paths than that are of use */

static bool attached;
static xenstore_message_fn give_others;

/* The request under way. */
static struct {
    bool busy, done;
    unsigned number, type;
    long status; /* -errno, or how many bytes came */
    char *to;
    size_t size;
} request;
static struct wait_queue turn = WAIT_QUEUE_INIT(turn);         /* for those who want to ask */
static struct wait_queue answered = WAIT_QUEUE_INIT(answered); /* for who has; and for room */

/* What a watch has told. */
struct event {
    struct list link;
    unsigned watch;
    char path[];
};
static struct list watches = LIST_INIT(watches), events = LIST_INIT(events);
static unsigned event_count, last_watch;
static struct wait_queue told = WAIT_QUEUE_INIT(told);

bool xenstore_attached(void)
{
    return attached;
}

/* ---- What comes ---- */

/* The store names errors in words. */
#define NAMED(error)  \
    {                 \
#error, error \
    }
static const struct {
    const char *name;
    int number;
} errors[] = {NAMED(EINVAL), NAMED(EACCES), NAMED(EEXIST),    NAMED(EISDIR), NAMED(ENOENT),
              NAMED(ENOMEM), NAMED(ENOSPC), NAMED(ENOTEMPTY), NAMED(ENOSYS), NAMED(EROFS),
              NAMED(EBUSY),  NAMED(EAGAIN), NAMED(EISCONN),   NAMED(E2BIG),  NAMED(EPERM)};

static int error_of(const char *text)
{
    for (unsigned i = 0; i < ARRAY_SIZE(errors); i++) {
        if (!strcmp(text, errors[i].name))
            return -errors[i].number;
    }
    return -EIO;
}

static void answer(unsigned type, const char *text, size_t length)
{
    if (type == XS_ERROR)
        request.status = error_of(text);
    else if (type != request.type)
        request.status = -EIO;
    else if (request.to && length >= request.size)
        request.status = -E2BIG;
    else
        request.status = length;
    if (request.to && request.status >= 0)
        memcpy(request.to, text, length + 1);
    request.done = true;
}

static void post(unsigned watch, const char *path)
{
    struct event *e;
    list_for_each(e, &events, link)
    {
        if (e->watch == watch && !strcmp(e->path, path))
            return;
    }
    const size_t size = strlen(path) + 1;
    if (event_count == EVENTS_MOST || !(e = heap_alloc(sizeof(*e) + size))) {
        print("the store tells more than this kernel can keep: an event is lost\n");
        return;
    }
    e->watch = watch;
    text_copy(e->path, path, size);
    list_add(&e->link, &events);
    event_count++;
    wait_wake(&told);
}

/* A path and a token, each ended by a zero byte; our tokens are numbers behind a #. */
static void event(const char *text, size_t length)
{
    const char *token = text + strlen(text) + 1;
    if (token >= text + length || *token != '#')
        return;
    token++;
    post(text_number(&token, 10), text);
}

static void message(unsigned type, unsigned number, const char *text, size_t length)
{
    if (type == XS_WATCH_EVENT)
        event(text, length);
    if (type != XS_WATCH_EVENT && request.busy && !request.done && number == request.number)
        answer(type, text, length);
    else if (number < FIRST_NUMBER)
        give_others(type, number, text, length);
}

static void interrupt(void)
{
    xenstore_ring_interrupt();
    wait_wake(&answered);
}

void xenstore_attach(void *page, unsigned port, xenstore_message_fn others)
{
    attached = true;
    give_others = others;
    xenstore_ring_attach(page, port, message);
    event_handle(vcpu_this(), port, interrupt);
}

/* ---- Requests ---- */

static long ask(unsigned type, unsigned transaction, const char *const strings[], unsigned count,
                bool open, char *to, size_t size)
{
    size_t length = 0;
    for (unsigned i = 0; i < count; i++)
        length += strlen(strings[i]) + 1;
    if (length > XENSTORE_REQUEST_MAX)
        return -E2BIG;
    while (request.busy)
        wait_uninterruptible(&turn);
    request.busy = true;
    request.done = false;
    request.number = MAX(request.number + 1, (unsigned)FIRST_NUMBER);
    request.type = type;
    request.to = to;
    request.size = size;
    while (!xenstore_ring_send(type, request.number, transaction, strings, count, open))
        wait_uninterruptible(&answered);
    while (!request.done)
        wait_uninterruptible(&answered);
    const long status = request.status;
    request.busy = false;
    request.to = NULL;
    wait_wake(&turn);
    return status;
}

long xenstore_read(unsigned transaction, const char *path, char *to, size_t size)
{
    return ask(XS_READ, transaction, &path, 1, false, to, size);
}

long xenstore_directory(unsigned transaction, const char *path, char *to, size_t size)
{
    return ask(XS_DIRECTORY, transaction, &path, 1, false, to, size);
}

static int status_of(long rc)
{
    return rc < 0 ? (int)rc : 0;
}

int xenstore_write(unsigned transaction, const char *path, const char *text)
{
    const char *const strings[] = {path, text};
    return status_of(ask(XS_WRITE, transaction, strings, 2, true, NULL, 0));
}

int xenstore_remove(unsigned transaction, const char *path)
{
    return status_of(ask(XS_RM, transaction, &path, 1, false, NULL, 0));
}

int xenstore_begin(unsigned *transaction)
{
    char text[16];
    const char *const nothing = "", *number = text;
    const long rc = ask(XS_TRANSACTION_START, 0, &nothing, 1, false, text, sizeof(text));
    if (rc >= 0)
        *transaction = text_number(&number, 10);
    return status_of(rc);
}

int xenstore_end(unsigned transaction, bool commit)
{
    const char *const strings[] = {commit ? "T" : "F"};
    return status_of(ask(XS_TRANSACTION_END, transaction, strings, 1, false, NULL, 0));
}

/* ---- Names in directories, numbers ---- */

static int join(char path[XENSTORE_PATH_MAX], const char *dir, const char *name)
{
    const size_t length =
        print_to(path, XENSTORE_PATH_MAX, "%s%s%s", dir, name ? "/" : "", name ? name : "");
    return length + 1 < XENSTORE_PATH_MAX ? 0 : -ENAMETOOLONG;
}

long xenstore_read_in(unsigned transaction, const char *dir, const char *name, char *to,
                      size_t size)
{
    char path[XENSTORE_PATH_MAX];
    const int rc = join(path, dir, name);
    return rc ? rc : xenstore_read(transaction, path, to, size);
}

int xenstore_write_in(unsigned transaction, const char *dir, const char *name, const char *text)
{
    char path[XENSTORE_PATH_MAX];
    const int rc = join(path, dir, name);
    return rc ? rc : xenstore_write(transaction, path, text);
}

uint64_t xenstore_number(const char *dir, const char *name, uint64_t otherwise)
{
    char text[24];
    const char *at = text;
    if (xenstore_read_in(XENSTORE_NO_TRANSACTION, dir, name, text, sizeof(text)) <= 0)
        return otherwise;
    const uint64_t value = text_number(&at, 10);
    return *at || at == text ? otherwise : value;
}

int xenstore_write_number(unsigned transaction, const char *dir, const char *name, uint64_t value)
{
    char text[24];
    print_to(text, sizeof(text), "%lu", value);
    return xenstore_write_in(transaction, dir, name, text);
}

/* ---- Watches ---- */

static int tell_watch(const struct xenstore_watch *watch, unsigned type)
{
    char token[16];
    print_to(token, sizeof(token), "#%u", watch->number);
    const char *const strings[] = {watch->path, token};
    return status_of(ask(type, XENSTORE_NO_TRANSACTION, strings, 2, false, NULL, 0));
}

int xenstore_watch(struct xenstore_watch *watch)
{
    watch->number = ++last_watch;
    list_add(&watch->link, &watches);
    const int rc = tell_watch(watch, XS_WATCH);
    if (rc)
        list_remove(&watch->link);
    return rc;
}

void xenstore_unwatch(struct xenstore_watch *watch)
{
    list_remove(&watch->link);
    (void)tell_watch(watch, XS_UNWATCH); /* what it tells until then is for nobody */
}

void xenstore_poke(struct xenstore_watch *watch)
{
    post(watch->number, watch->path);
}

static struct xenstore_watch *find_watch(unsigned number)
{
    struct xenstore_watch *w;
    list_for_each(w, &watches, link)
    {
        if (w->number == number)
            return w;
    }
    return NULL;
}

void xenstore_serve(void)
{
    for (;;) {
        while (list_empty(&events))
            wait_uninterruptible(&told);
        struct event *const e = list_entry(events.next, struct event, link);
        list_remove(&e->link);
        event_count--;
        struct xenstore_watch *const w = find_watch(e->watch);
        if (w)
            w->changed(w, e->path);
        heap_free(e);
    }
}
