/*
 * The backend of a virtual disk that lies: false-backend DOMAIN RING-REF PORT LIE
 *
 * It maps the ring that the frontend has granted, waits until there are as many requests as the lie needs, and answers
 * each once, wrongly, by the rule LIE; "true" answers as it should, with what the pages hold.  It ends when the ring has
 * been used up or nobody has asked for ten minutes.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAP_GRANT        0x184700
#define BIND_INTERDOMAIN 0x084501
#define NOTIFY           0x044504

struct ring {
    volatile uint32_t req_prod, req_event, rsp_prod, rsp_event;
    uint8_t pad[48];
    union {
        struct {
            uint8_t operation, segments;
            uint16_t handle;
            uint64_t id, sector;
            struct {
                uint32_t grant;
                uint8_t first, last;
            } segment[11];
        } request;
        struct {
            uint64_t id;
            uint8_t operation;
            int16_t status;
        } answer;
    } entries[32];
};

static int gntdev, evtchn, port;
static unsigned domain;
static struct ring *ring;

static void *map(uint32_t ref)
{
    struct {
        uint32_t count, pad;
        uint64_t index;
        uint32_t domain, ref;
    } m = {1, 0, 0, domain, ref};
    if (ioctl(gntdev, MAP_GRANT, &m))
        return MAP_FAILED;
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, gntdev, m.index);
}

static uint32_t answers;

static void answer(uint64_t id, uint8_t operation, int16_t status)
{
    const unsigned at = answers++ % 32;
    ring->entries[at].answer.id = id;
    ring->entries[at].answer.operation = operation;
    ring->entries[at].answer.status = status;
}

static void tell(void)
{
    const uint32_t port_number = port;
    __sync_synchronize();
    ring->rsp_prod = answers;
    __sync_synchronize();
    ioctl(evtchn, NOTIFY, &port_number);
}

static int is(const char *a, const char *b)
{
    return !strcmp(a, b);
}

/* Answer the requests from @from to before @to. */
static void lie(const char *how, uint32_t from, uint32_t to)
{
    struct {
        uint64_t id;
        uint32_t grant;
        uint8_t operation;
    } r[32];
    for (uint32_t i = from; i != to; i++) { /* the answers take the places of the requests */
        r[i - from].id = ring->entries[i % 32].request.id;
        r[i - from].operation = ring->entries[i % 32].request.operation;
        r[i - from].grant = ring->entries[i % 32].request.segment[0].grant;
    }
    for (uint32_t i = 0; i < to - from; i++) {
        if (is(how, "true"))
            answer(r[i].id, r[i].operation, 0);
        else if (is(how, "failed"))
            answer(r[i].id, r[i].operation, 77);
        else if (is(how, "number"))
            answer(r[i].id + 0x100000000, r[i].operation, 0);
        else if (is(how, "unasked"))
            answer(31 - r[i].id, r[i].operation, 0);
        else if (is(how, "twice"))
            answer(r[0].id, r[0].operation, 0);
        else if (is(how, "operation"))
            answer(r[i].id, r[i].operation ^ 1, 0);
        else if (is(how, "keeps") && map(r[i].grant) != MAP_FAILED)
            answer(r[i].id, r[i].operation, 0);
    }
    if (is(how, "index"))
        answers += 1000;
    tell();
}

int main(int argc, char **argv)
{
    if (argc != 5)
        return 2;
    domain = atoi(argv[1]);
    gntdev = open("/dev/xen/gntdev", O_RDWR);
    evtchn = open("/dev/xen/evtchn", O_RDWR);
    const uint32_t ends[2] = {domain, atoi(argv[3])};
    port = ioctl(evtchn, BIND_INTERDOMAIN, ends);
    ring = map(atoi(argv[2]));
    if (port < 0 || ring == MAP_FAILED) {
        perror(argv[0]);
        return 1;
    }
    const uint32_t needed = is(argv[4], "twice") ? 2 : 1;
    uint32_t done = 0;
    for (unsigned i = 0; i < 600000; i++, usleep(1000)) {
        const uint32_t there = ring->req_prod;
        if (there - done < needed || there - done > 32)
            continue;
        lie(argv[4], done, there);
        done = there;
        ring->req_event = there + 1;
    }
    return 0;
}
