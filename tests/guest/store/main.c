/*
 * Question: does the store behind the store ring keep to its protocol, and can a guest hurt it?
 *
 * A message is a header of 16 bytes and a payload, written byte by byte into a ring of 1024
 * (<xen/io/xs_wire.h>); the answer comes back through the other ring, and so do the events of
 * watches.  Guests rely on more than the layout: on which errors there are by name, on a watch's
 * first event, on transactions that see one state.
 *
 * The first domain has no store: it is where one would run.  Any other asks everything below; the
 * expected answers are those of Xen's published protocol (docs/misc/xenstore.txt) and, where that is
 * silent, of its xenstored.  Then come rings that no honest guest makes.  A broken store would hang
 * here, answer nonsense, or take the hypervisor along.
 */
#include "event.h"
#include "guest.h"
#include "memory.h"
#include "string.h"
#include "tap.h"

#include <paravane/hypercall.h>
#include <xen/io/xs_wire.h>
#include <xen/sched.h>

#define PATIENCE 1000000u /* times that we yield for an answer */

static volatile struct xenstore_domain_interface *ring;

static void notify(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    event_send(guest_info->store_evtchn);
}

static void put(const void *from, uint32_t length)
{
    const char *bytes = from;

    for (unsigned patience = PATIENCE; length;) {
        if (ring->req_prod - ring->req_cons == XENSTORE_RING_SIZE) {
            if (!patience--)
                tap_bail_out("nobody takes requests");
            notify();
            hypercall_sched_op(SCHEDOP_yield, NULL);
            continue;
        }
        ring->req[MASK_XENSTORE_IDX(ring->req_prod)] = *bytes++;
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        ring->req_prod++;
        length--;
    }
}

static void get(void *to, uint32_t length)
{
    char *bytes = to;

    notify();
    for (unsigned patience = PATIENCE; length;) {
        if (ring->rsp_prod == ring->rsp_cons) {
            if (!patience--)
                tap_bail_out("no answer");
            notify();
            hypercall_sched_op(SCHEDOP_yield, NULL);
            continue;
        }
        *bytes++ = ring->rsp[MASK_XENSTORE_IDX(ring->rsp_cons)];
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        ring->rsp_cons++;
        length--;
    }
}

static struct xsd_sockmsg answer;
static char text[XENSTORE_PAYLOAD_MAX + 1];

static void receive(void)
{
    get(&answer, sizeof(answer));
    if (answer.len > XENSTORE_PAYLOAD_MAX)
        tap_bail_out("an answer of %u bytes", answer.len);
    get(text, answer.len);
    text[answer.len] = 0;
}

static unsigned events;
static char event_path[64], event_token[64];

/* Keep what an event says; true if @answer is one. */
static bool is_event(void)
{
    if (answer.type != XS_WATCH_EVENT)
        return false;
    size_t path = strlen(text) + 1;
    if (path < sizeof(event_path))
        memcpy(event_path, text, path);
    if (answer.len - path <= sizeof(event_token))
        memcpy(event_token, text + path, answer.len - path);
    events++;
    return true;
}

static uint32_t transaction, request_id = 100;

/* Ask, and wait for the answer; events on the way are counted. */
static void ask(uint32_t type, const char *payload, uint32_t length)
{
    struct xsd_sockmsg m = {type, ++request_id, transaction, length};

    put(&m, sizeof(m));
    put(payload, length);
    do
        receive();
    while (is_event());
    if (answer.req_id != request_id)
        tap_bail_out("answer to request %u instead of %u", answer.req_id, request_id);
}

#define ASK(type, payload) ask(XS_##type, payload, sizeof(payload) - 1)

/* Was the answer @wanted?  For an error, its name. */
static void answered(const char *wanted, const char *name)
{
    if (!tap_ok(answer.len >= strlen(wanted) && !memcmp(text, wanted, strlen(wanted)) &&
                    answer.len <= strlen(wanted) + 1,
                "%s", name))
        tap_note("type %u: %s", answer.type, text);
}

static void events_are(unsigned count, const char *path, const char *token, const char *name)
{
    while (ring->rsp_prod != ring->rsp_cons) {
        receive();
        (void)is_event();
    }
    tap_is(events, count, "%s", name);
    if (count && events)
        tap_ok(!strcmp(event_path, path) && !strcmp(event_token, token), "%s: its path and token",
               name);
    events = 0;
}

/* --- one question, one answer --- */

#define E(error, type, payload, name)                        \
    {                                                        \
        XS_##type, payload, sizeof(payload) - 1, error, name \
    }

static const struct {
    uint32_t type;
    const char *payload;
    uint32_t length;
    const char *answer, *name;
} cases[] = {
    E("ENOENT", READ, "nothing\0", "read: no such node"),
    E("EACCES", READ, "/local/domain/0/name\0",
      "read: what is not there may only be learned where one may read"),
    E("EINVAL", READ, "domid", "read: without its zero byte"),
    E("EINVAL", READ, "", "read: without a path"),
    E("EINVAL", READ, "\0", "read: an empty path"),
    E("EINVAL", READ, "domid\0more\0", "read: more than a path"),
    E("EINVAL", READ, "a//b\0", "read: an empty name"),
    E("EINVAL", READ, "a/\0", "read: a slash at the end"),
    E("EINVAL", READ, "a b\0", "read: a space in a path"),
    E("EACCES", WRITE, "name\0me", "write: a node of domain 0"),
    E("EACCES", WRITE, "/new\0x", "write: at the root"),
    E("EINVAL", WRITE, "data/x", "write: without its zero byte"),
    E("OK", WRITE, "data/a/b\0value", "write: nodes on the way are made"),
    E("value", READ, "data/a/b\0", "read it back"),
    E("", READ, "data/a\0", "the one on the way is empty"),
    E("b", DIRECTORY, "data/a\0", "directory"),
    E("", DIRECTORY, "data/a/b\0", "directory of a leaf"),
    E("OK", WRITE, "data/a/b\0", "write nothing"),
    E("", READ, "data/a/b\0", "and nothing is there"),
    E("OK", MKDIR, "data/dir\0", "mkdir"),
    E("OK", MKDIR, "data/dir\0", "mkdir again"),
    E("EINVAL", MKDIR, "data/dir\0x", "mkdir with a value"),
    E("EACCES", MKDIR, "dir\0", "mkdir where only domain 0 may"),
    E("OK", RM, "data/a\0", "rm with what is below"),
    E("ENOENT", READ, "data/a/b\0", "all of it is gone"),
    E("OK", RM, "data/a\0", "rm again"),
    E("ENOENT", RM, "data/a/b\0", "rm below nothing"),
    E("EACCES", RM, "device\0", "rm of a node of domain 0"),
    E("EACCES", RM, "/\0", "rm of the root"),
    E("EINVAL", SET_PERMS, "data/dir\0", "permissions: none"),
    E("EINVAL", SET_PERMS, "data/dir\0x0\0", "permissions: no such letter"),
    E("EINVAL", SET_PERMS, "data/dir\0r\0", "permissions: no domain"),
    E("EACCES", SET_PERMS, "name\0b0\0", "permissions of a node of domain 0"),
    E("EACCES", SET_PERMS, "data/dir\0b0\0", "permissions: giving a node away"),
    E("/local/domain/7", GET_DOMAIN_PATH, "7\0", "the path of a domain"),
    E("EINVAL", GET_DOMAIN_PATH, "x\0", "the path of no domain"),
    E("T", IS_DOMAIN_INTRODUCED, "0\0", "domain 0 is introduced"),
    E("F", IS_DOMAIN_INTRODUCED, "7\0", "one that is not"),
    E("EACCES", INTRODUCE, "1\0001\0001\0", "introduce"),
    E("EACCES", RELEASE, "1\0", "release"),
    E("EACCES", RESUME, "1\0", "resume"),
    E("EACCES", SET_TARGET, "1\0002\0", "set target"),
    E("EACCES", CONTROL, "print\0hello\0", "control"),
    E("EINVAL", WATCH, "data\0", "watch: without a token"),
    E("EINVAL", WATCH, "a//b\0t\0", "watch: no path"),
    E("ENOENT", UNWATCH, "data\0t\0", "unwatch: there is none"),
    E("ENOENT", TRANSACTION_END, "T\0", "end of no transaction"),
    E("EINVAL", TRANSACTION_END, "X\0", "end: neither T nor F"),
    E("ENOSYS", INVALID, "", "no such message"),
    E("ENOSYS", WATCH_EVENT, "a\0b\0", "an event from the guest"),
};

static void test_answers(void)
{
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ask(cases[i].type, cases[i].payload, cases[i].length);
        answered(cases[i].answer, cases[i].name);
    }
}

/* --- what is there at the start --- */

static unsigned long number(void)
{
    unsigned long n = 0;

    for (const char *c = text; *c >= '0' && *c <= '9'; c++)
        n = n * 10 + (unsigned long)(*c - '0');
    return n;
}

static void test_first_nodes(void)
{
    tap_is(ring->server_features & XENSTORE_SERVER_FEATURE_ERROR, XENSTORE_SERVER_FEATURE_ERROR,
           "the server tells its errors");
    ASK(READ, "memory/target\0");
    tap_is((long)number(), (long)guest_info->nr_pages * 4, "memory/target is what the domain has");
    ASK(READ, "memory/static-max\0");
    tap_ok(number() >= guest_info->nr_pages * 4, "memory/static-max is no less");
    ASK(READ, "store/port\0");
    tap_is((long)number(), guest_info->store_evtchn, "store/port");
    ASK(READ, "console/ring-ref\0");
    tap_is((long)number(), (long)guest_info->console.domU.mfn, "console/ring-ref");
    ASK(READ, "cpu/0/availability\0");
    answered("online", "the first vCPU is there");
    ASK(READ, "name\0");
    tap_ok(answer.type == XS_READ && answer.len > 0, "the domain has a name");
    ASK(READ, "domid\0");
    unsigned long id = number();
    char home[] = "/local/domain/00000/domid";
    memcpy(home + 14, text, strlen(text));
    memcpy(home + 14 + strlen(text), "/domid", 7);
    ask(XS_READ, home, (uint32_t)strlen(home) + 1);
    tap_is((long)number(), (long)id, "the same node by its absolute path");
    ASK(DIRECTORY, "device\0");
    answered("", "there are no devices");
    ASK(READ, "control/shutdown\0");
    answered("", "nobody asks for a shutdown");
}

static void test_permissions(void)
{
    ASK(READ, "domid\0");
    char mine[64] = "data/dir", *at = mine + 9;
    unsigned length = (unsigned)strlen(text);

    /* "nID" "r0" */
    *at++ = 'n';
    memcpy(at, text, length + 1);
    at += length + 1;
    memcpy(at, "r0", 3);
    at += 3;
    ask(XS_SET_PERMS, mine, (uint32_t)(at - mine));
    answered("OK", "permissions are set");
    ASK(GET_PERMS, "data/dir\0");
    tap_ok(answer.len == (uint32_t)(at - mine) - 9 && !memcmp(text, mine + 9, answer.len),
           "and read back");
    ASK(GET_PERMS, "memory/target\0");
    tap_ok(!strcmp(text, "n0") && text[3] == 'r', "memory/target is domain 0's, and ours to read");
    ASK(SET_PERMS, "data/dir\0n0\0r1\0r2\0r3\0r4\0r5\0");
    answered("ENOSPC", "permissions: six");
}

/* --- watches --- */

static void test_watches(void)
{
    events = 0;
    ASK(WATCH, "data\0token\0");
    answered("OK", "watch");
    events_are(1, "data", "token", "it begins with an event");
    ASK(WATCH, "data\0token\0");
    answered("EEXIST", "the same watch again");
    ASK(WATCH, "data\0other\0");
    events_are(1, "data", "other", "another token is another watch");
    ASK(UNWATCH, "data\0other\0");
    answered("OK", "unwatch");

    ASK(WRITE, "data/deep/in/it\0x");
    events_are(1, "data/deep/in/it", "token", "a write below");
    ASK(WRITE, "data/deep/in/it\0x");
    events_are(1, "data/deep/in/it", "token", "the same value again");
    ASK(WRITE, "error/x\0y");
    events_are(0, "", "", "a write elsewhere");
    ASK(WATCH, "data/deep/in/it\0leaf\0");
    events_are(1, "data/deep/in/it", "leaf", "a watch on a leaf");
    ASK(RM, "data/deep\0");
    events_are(2, "data/deep/in/it", "leaf", "rm above a watch");
    ASK(UNWATCH, "data/deep/in/it\0leaf\0");
    ASK(WATCH, "@releaseDomain\0special\0");
    events_are(1, "@releaseDomain", "special", "a special watch");
    ASK(RESET_WATCHES, "");
    answered("OK", "reset watches");
    ASK(WRITE, "data/x\0y");
    events_are(0, "", "", "and none is left");
}

/* --- transactions --- */

static uint32_t start(void)
{
    transaction = 0;
    ASK(TRANSACTION_START, "\0");
    return (uint32_t)number();
}

static void end(uint32_t id, bool commit)
{
    transaction = id;
    ask(XS_TRANSACTION_END, commit ? "T" : "F", 2);
    transaction = 0;
}

static void test_transactions(void)
{
    events = 0;
    ASK(WATCH, "data\0t\0");
    events_are(1, "data", "t", "a watch for transactions");
    uint32_t a = start(), b = start();
    tap_ok(a && b && a != b, "two transactions");
    transaction = a;
    ASK(WRITE, "data/t\0in a");
    ASK(READ, "data/t\0");
    answered("in a", "a transaction sees what it wrote");
    transaction = b;
    ASK(READ, "data/t\0");
    answered("ENOENT", "another one does not");
    transaction = 0;
    ASK(READ, "data/t\0");
    answered("ENOENT", "nobody else does");
    events_are(0, "", "", "no event before the end");
    transaction = b;
    ASK(WRITE, "data/u\0in b");
    ASK(TRANSACTION_START, "\0");
    answered("EBUSY", "a transaction in a transaction");
    end(a, true);
    answered("OK", "commit");
    events_are(1, "data/t", "t", "its event");
    ASK(READ, "data/t\0");
    answered("in a", "now everybody sees it");
    end(b, true);
    answered("EAGAIN", "commit of what began before that");
    ASK(READ, "data/u\0");
    answered("ENOENT", "nothing of it happened");
    end(b, true);
    answered("ENOENT", "and it is over");
    a = start();
    transaction = a;
    ASK(RM, "data/t\0");
    end(a, false);
    answered("OK", "abort");
    ASK(READ, "data/t\0");
    answered("in a", "an aborted transaction did nothing");
    a = start();
    transaction = a;
    ASK(READ, "data/t\0");
    transaction = 0;
    ASK(WRITE, "data/t\0later");
    transaction = a;
    ASK(READ, "data/t\0");
    answered("in a", "a transaction sees one state");
    end(a, false);
    for (unsigned i = 0; i < 10; i++)
        a = start();
    ASK(TRANSACTION_START, "\0");
    answered("ENOSPC", "eleven transactions");
    ASK(RESET_WATCHES, "");
    end(a, true);
    answered("ENOENT", "reset ends transactions, too");
    events = 0;
}

/* --- limits --- */

/* "data/NNNN" and its value of @length bytes in @to; the length of all. */
static uint32_t numbered(char *to, unsigned n, uint32_t length)
{
    memcpy(to, "data/0000", 10);
    for (unsigned i = 8; n; n /= 10, i--)
        to[i] = (char)('0' + n % 10);
    memset(to + 10, 'v', length);
    return 10 + length;
}

static void test_limits(void)
{
    static char message[XENSTORE_PAYLOAD_MAX];
    unsigned n;

    ask(XS_WRITE, message, numbered(message, 1, 2048));
    answered("ENOSPC", "a value of 2 KiB");
    ask(XS_WRITE, message, numbered(message, 1, 1800));
    answered("OK", "a value of 1800 bytes");
    ask(XS_READ, message, 10);
    tap_is(answer.len, 1800, "and back through a ring of 1024");
    memset(message, 'p', 3000);
    message[3000] = 0;
    ask(XS_READ, message, 3001);
    answered("EINVAL", "a path of 3000 bytes");
    ASK(WRITE, "data/1/2/3/4/5/6/7/8/9/a/b/c/d/e/f/g\0");
    answered("EINVAL", "more than 16 names");

    for (n = 1; n < 1000; n++) {
        ask(XS_WRITE, message, numbered(message, n, 40));
        if (answer.type == XS_ERROR)
            break;
    }
    answered("ENOSPC", "too many nodes");
    tap_ok(n > 100, "but a hundred are not");
    ASK(READ, "domid\0");
    tap_is(answer.type, XS_READ, "reading goes on");
    ASK(RM, "data\0");
    answered("OK", "and so does removing");
    ASK(WRITE, "error/x\0room again");
    answered("OK", "there is room again");

    /* Names of 250 bytes: seventeen fill more than a message. */
    memset(message, 'n', 256);
    memcpy(message, "error/", 6);
    message[256] = 0;
    for (n = 0; n < 17; n++) {
        message[6] = (char)('a' + n);
        ask(XS_MKDIR, message, 257);
    }
    ASK(DIRECTORY, "error\0");
    answered("E2BIG", "a directory of more than 4 KiB");
    for (n = 0; n < 17; n++) {
        message[6] = (char)('a' + n);
        ask(XS_RM, message, 257);
    }
    answered("OK", "they can be removed");
}

static void test_watch_limits(void)
{
    static char message[XENSTORE_PAYLOAD_MAX];
    unsigned n;

    for (n = 0; n < 200; n++) {
        numbered(message, n, 0);
        memcpy(message + 10, "t", 2);
        ask(XS_WATCH, message, 12);
        if (answer.type == XS_ERROR)
            break;
    }
    answered("E2BIG", "too many watches");
    tap_is(n, 128, "128 are not");
    ASK(RESET_WATCHES, "");
    events = 0;

    /* An event that fits no message is not sent. */
    memcpy(message, "error", 6);
    memset(message + 6, 't', sizeof(message) - 7);
    message[sizeof(message) - 1] = 0;
    ask(XS_WATCH, message, sizeof(message));
    answered("OK", "a token that fills the message");
    ASK(WRITE, "error/longer\0x");
    answered("OK", "an event would be longer");
    ASK(RESET_WATCHES, "");
    ASK(READ, "error/longer\0");
    answered("x", "and all is well");
    events = 0;
}

/* --- rings that no honest guest makes --- */

static void reconnect(void)
{
    ring->connection = XENSTORE_RECONNECT;
    notify();
    if (ring->connection != XENSTORE_CONNECTED)
        tap_bail_out("no reconnection");
}

static void test_hostile(void)
{
    static const uint32_t index[] = {0,    1,          1023,       1024,       1025,
                                     4096, 0x7fffffff, 0x80000000, 0xfffffbff, 0xffffffff};
    const unsigned indices = sizeof(index) / sizeof(index[0]);
    struct xsd_sockmsg m = {XS_READ, 1, 0, XENSTORE_PAYLOAD_MAX + 1};

    put(&m, sizeof(m));
    notify();
    tap_is(ring->error, XENSTORE_ERROR_PROTO, "a message of 4097 bytes is told");
    reconnect();
    tap_is(ring->error, XENSTORE_ERROR_NONE, "reconnected");
    ring->req_prod = ring->req_cons + 1025;
    notify();
    tap_is(ring->error, XENSTORE_ERROR_RINGIDX, "an index beyond the ring is told");
    notify();
    reconnect();
    ring->rsp_cons = ring->rsp_prod + 1;
    notify();
    tap_is(ring->error, XENSTORE_ERROR_RINGIDX, "as is one that reads what is not there");
    reconnect();

    /* Every pair of odd numbers, over rings full of requests. */
    for (unsigned i = 0; i < 1024; i++)
        ring->req[i] = (char)(i % 16 ? 0 : i / 16 % 24);
    for (unsigned i = 0; i < indices * indices * indices; i++) {
        ring->req_prod = index[i % indices];
        ring->req_cons = index[i / indices % indices];
        ring->rsp_cons = ring->rsp_prod - index[i / indices / indices];
        notify();
        reconnect();
    }
    ASK(READ, "memory/target\0");
    tap_is(answer.type, XS_READ, "after all that it answers");

    /* Nonsense, but with honest indices. */
    uint64_t state = 88172645463325252ull;
    for (unsigned round = 0; round < 2000; round++) {
        for (unsigned i = 0; i < 1024; i++) {
            state ^= state << 13, state ^= state >> 7, state ^= state << 17;
            ring->req[i] = (char)(i % 4 ? (state % 3 ? 0 : "data/t0r"[state % 8]) : state % 24);
        }
        ring->req_prod = ring->req_cons + (uint32_t)(state >> 20) % 1025;
        ring->rsp_cons = ring->rsp_prod;
        notify();
        if (ring->error)
            reconnect();
    }
    reconnect();
    ASK(RESET_WATCHES, "");
    ASK(READ, "memory/target\0");
    tap_is(answer.type, XS_READ, "after nonsense it answers");
}

void guest_main(void)
{
    struct evtchn_status status = {.dom = DOMID_SELF, .port = guest_info->store_evtchn};

    tap_is(guest_info->store_mfn == 0, guest_is_first(), "only the first domain has no store");
    tap_is(guest_info->store_evtchn == 0, guest_is_first(), "nor a port for one");
    if (guest_is_first())
        return;
    ring = memory_of_mfn(guest_info->store_mfn);
    event_status(guest_info->store_evtchn, &status);
    tap_is(status.status, EVTCHNSTAT_interdomain, "its port is bound");
    test_first_nodes();
    test_answers();
    test_permissions();
    test_watches();
    test_transactions();
    test_limits();
    test_watch_limits();
    test_hostile();
}
