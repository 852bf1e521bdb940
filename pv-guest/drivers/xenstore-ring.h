/*
 * The store's ring (<xen/io/xs_wire.h>): requests out, replies and watch events in, two byte rings in one page.
 *
 * Nobody waits here: a message that comes is given to a function, when all of it has come.
 */
#pragma once

#include "kernel/lib/base.h"

#define XENSTORE_TEXT_MAX    4096 /* longer messages are read and forgotten */
#define XENSTORE_REQUEST_MAX 960  /* bytes that always fit in the ring, when it is empty */

/* A message: its xsd_sockmsg_type, the number of the request that it answers, and @text of @length bytes and a zero. */
typedef void (*xenstore_message_fn)(unsigned type, unsigned request, const char *text,
                                    size_t length);

void xenstore_ring_attach(void *page, unsigned port, xenstore_message_fn message);
/*
 * Send a request of @type in @transaction (0: in none) with @count strings, each with its zero but the last if @open.
 * False if there is no room.
 */
bool xenstore_ring_send(unsigned type, unsigned request, unsigned transaction,
                        const char *const strings[], unsigned count, bool open);
/* The other end has done something. */
void xenstore_ring_interrupt(void);
