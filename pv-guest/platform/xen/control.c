/*
 * What whoever controls the domain asks of it, through the store: to end, a key of sysrq, how much memory to use.
 *
 * The nodes are watched.  When one has changed it is read and what it says is done; all but the target are acknowledged
 * by emptying them, as Linux does.  Debug key `s` of Paravane writes them, and so does xl.
 */
#include <stdint.h>
#include <xen/io/xs_wire.h>

#include "drivers/xenstore-ring.h"
#include "kernel/entry/control.h"
#include "kernel/memory/page.h"
#include "kernel/lib/text.h"
#include "platform/platform.h"
#include "platform/xen/balloon.h"
#include "platform/xen/machine.h"
#include "platform/xen/xenstore.h"

enum node { SHUTDOWN, SYSRQ, TARGET, NODES };
static const char *const paths[NODES] = {
    [SHUTDOWN] = "control/shutdown", [SYSRQ] = "control/sysrq", [TARGET] = "memory/target"};

/* The number of a request says which node it reads. */
#define READS  0x100
#define OTHERS 1

static void request(unsigned type, unsigned number, const char *one, const char *two, bool open)
{
    const char *const strings[] = {one, two};
    (void)xenstore_ring_send(type, number, 0, strings, two ? 2 : 1, open);
}

static void empty(enum node node)
{
    request(XS_WRITE, OTHERS, paths[node], "", true);
}

static void answer(enum node node, const char *text)
{
    if (!*text)
        return; /* our own emptying */
    if (node == TARGET) {
        balloon_target(text);
        return;
    }
    empty(node);
    if (node == SYSRQ)
        control_sysrq(*text);
    else if (!control_shutdown(text))
        control_unknown(text);
}

static void message(unsigned type, unsigned number, const char *text, size_t length)
{
    for (unsigned i = 0; i < NODES; i++) {
        if (type == XS_WATCH_EVENT && !strcmp(text, paths[i]))
            request(XS_READ, READS + i, paths[i], NULL, false);
        if (type == XS_READ && number == READS + i)
            answer((enum node)i, text);
    }
}

void control_init(void)
{
    if (!boot_info.store_mfn || !boot_info.store_evtchn)
        return; /* a first domain: nobody is above it */
    balloon_init();
    xenstore_attach(page_at(pfn_of(mfn(boot_info.store_mfn))), boot_info.store_evtchn, message);
    for (unsigned i = 0; i < NODES; i++)
        request(XS_WATCH, OTHERS, paths[i], "control", false);
    /* What xl looks for before it asks; there is no such node for halt, which xl never asks for, and none may be made. */
    request(XS_WRITE, OTHERS, "control/feature-poweroff", "1", true);
    request(XS_WRITE, OTHERS, "control/feature-reboot", "1", true);
}
