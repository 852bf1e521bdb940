/*
 * A store ring with anything in it: requests cut and joined at any byte, indices of any value,
 * writes from outside in between.  Whatever happens: no BUG, no byte read outside what was sent,
 * and when the guest is torn down every frame is back.
 */
#include "fuzz.h"

#include "arch.h"
#include "evtchn.h"
#include "guest.h"
#include "lib.h"
#include "xenstore.h"

#include <xen/io/xs_wire.h>

const unsigned fuzz_mutations = 3000;
unsigned fuzz_accepted;
unsigned long fuzz_steps;

#define RING 30u

static struct guest guest;
static struct xenstore_domain_interface *ring;
static struct evtchn_send port;
static uint64_t free_frames;

/* Steps of an input: a byte that says what, a byte that says how much. */
enum { SEND, READ_ALL, READ_SOME, INDEX, OUTSIDE, RECONNECT, STEPS };

static void notify(void)
{
    (void)guest_op(guest.v, __HYPERVISOR_event_channel_op, EVTCHNOP_send, &port, sizeof(port));
}

static void send(const uint8_t *from, size_t n)
{
    for (; n; n--)
        ring->req[MASK_XENSTORE_IDX(ring->req_prod++)] = (char)*from++;
    notify();
}

/* Answers have a type and a length that fit; and how many there were that are no errors. */
static void read_all(void)
{
    struct xsd_sockmsg m;

    while (!ring->error && ring->rsp_prod - ring->rsp_cons >= sizeof(m)) {
        for (unsigned i = 0; i < sizeof(m); i++)
            ((char *)&m)[i] = ring->rsp[MASK_XENSTORE_IDX(ring->rsp_cons + i)];
        fuzz_accepted += m.type != XS_ERROR;
        ring->rsp_cons += sizeof(m);
        for (uint32_t left = m.len; left;) {
            const uint32_t there = ring->rsp_prod - ring->rsp_cons, n = MIN(left, there);
            ring->rsp_cons += n;
            left -= n;
            notify();
            if (!n)
                break;
        }
    }
}

static void outside(const uint8_t *from, size_t n)
{
    char path[64];

    string_copy(path, (const char *)from, MIN(sizeof(path), n + 1));
    (void)!xenstore_write(guest.d, path, "5");
}

static size_t step(const uint8_t *data, size_t size)
{
    const size_t n = MIN(data[1], size - 2);

    switch (data[0] % STEPS) {
    case READ_ALL:
        read_all();
        return 2;
    case READ_SOME:
        ring->rsp_cons += data[1];
        notify();
        return 2;
    case INDEX: {
        uint32_t *index[] = {&ring->req_cons, &ring->req_prod, &ring->rsp_cons, &ring->rsp_prod};
        uint32_t value = 0;
        memcpy(&value, data + 2, MIN(sizeof(value), size - 2));
        *index[data[1] % 4] = value;
        notify();
        return 2 + MIN(sizeof(value), size - 2);
    }
    case OUTSIDE:
        outside(data + 2, n);
        return 2 + n;
    case RECONNECT:
        ring->connection = XENSTORE_RECONNECT;
        notify();
        return 2;
    default:
        send(data + 2, n);
        return 2 + n;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_steps++;
    static bool started;

    if (!started)
        world_start(1, 2048);
    started = true;
    free_frames = page_free_count();
    guest_create(&guest, 1, 64, 1);
    long rc = xenstore_attach(guest.d, guest_mfn(&guest, RING), guest_mfn(&guest, RING), 7);
    ASSERT(rc > 0);
    port.port = (uint32_t)rc;
    ring = (struct xenstore_domain_interface *)guest_page(&guest, RING);
    while (size > 2) {
        const size_t done = step(data, size);
        data += done;
        size -= done;
    }
    if (page_audit())
        abort();
    guest_destroy(&guest);
    if (page_free_count() != free_frames) {
        fprintf(stderr, "%ld frames are lost\n", (long)(free_frames - page_free_count()));
        abort();
    }
    return 0;
}

/* --- sound inputs ---------------------------------------------------------------------------- */

static uint8_t *seed_at;

static void add(const void *bytes, size_t n)
{
    memcpy(seed_at, bytes, n);
    seed_at += n;
}

static void add_step(uint8_t what, uint8_t n)
{
    add((uint8_t[]){what, n}, 2);
}

static void add_request(uint32_t type, uint32_t tx, const char *payload, uint32_t n)
{
    const struct xsd_sockmsg m = {type, 1, tx, n};

    add_step(SEND, (uint8_t)(sizeof(m) + n));
    add(&m, sizeof(m));
    add(payload, n);
    add_step(READ_ALL, 0);
}

#define ADD(type, tx, payload) add_request(XS_##type, (tx), payload, sizeof(payload) - 1)

static void add_plain(void)
{
    ADD(READ, 0, "domid\0");
    ADD(WRITE, 0, "data/a/b\0value");
    ADD(DIRECTORY, 0, "data\0");
    ADD(GET_PERMS, 0, "data/a\0");
    ADD(SET_PERMS, 0, "data/a\0n1\0r0\0");
    ADD(MKDIR, 0, "data/dir\0");
    ADD(RM, 0, "data/a\0");
    ADD(GET_DOMAIN_PATH, 0, "1\0");
    ADD(IS_DOMAIN_INTRODUCED, 0, "1\0");
}

static void add_watches(void)
{
    ADD(WATCH, 0, "memory/target\0t\0");
    ADD(WATCH, 0, "data\0u\0");
    add_step(OUTSIDE, 13);
    add("memory/target", 13);
    ADD(WRITE, 0, "data/x/y\0z");
    ADD(RM, 0, "data/x\0");
    add_step(READ_SOME, 3);
    add_step(RECONNECT, 0);
    ADD(WATCH, 0, "data\0u\0");
    ADD(UNWATCH, 0, "data\0u\0");
    ADD(RESET_WATCHES, 0, "");
}

static void add_transactions(void)
{
    ADD(WATCH, 0, "data\0u\0");
    ADD(TRANSACTION_START, 0, "\0");
    ADD(TRANSACTION_START, 0, "\0");
    ADD(WRITE, 1, "data/a\0one");
    ADD(WRITE, 2, "data/b\0two");
    ADD(RM, 2, "data/a\0");
    ADD(TRANSACTION_END, 1, "T\0");
    ADD(TRANSACTION_END, 2, "T\0");
    ADD(READ, 0, "data/a\0");
}

size_t fuzz_seed(unsigned i, uint8_t *to, size_t room)
{
    static void (*const kind[])(void) = {add_plain, add_watches, add_transactions};

    if (i >= ARRAY_SIZE(kind))
        return 0;
    seed_at = to;
    kind[i]();
    return (size_t)(seed_at - to);
}
