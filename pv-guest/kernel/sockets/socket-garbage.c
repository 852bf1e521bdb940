/*
 * Files under way, and sockets that nobody can reach any more.
 *
 * A socket can be sent through a socket.  Two that are under way in each other
 * have a reference each and no descriptor: nobody will ever close them.  So each
 * time that a socket ends while others are under way, those are looked for that
 * are held by nothing but packets, and cannot be received by way of a socket for
 * which that is not so.  Their packets are freed, and with those they end.
 */
#include "credentials.h"
#include "errno.h"
#include "process.h"
#include "socket.h"

static unsigned sockets_in_flight;

static struct socket *socket_of(const struct file *file)
{
    return file->ops == &socket_ops ? file->object : NULL;
}

void flight_begin(struct file **files, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct socket *s = socket_of(files[i]);
        if (s)
            s->in_flight++;
        sockets_in_flight += s != NULL;
    }
}

void flight_end(struct file **files, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct socket *s = socket_of(files[i]);
        if (s)
            s->in_flight--;
        sockets_in_flight -= s != NULL;
    }
}

int flight_check(unsigned count)
{
    const struct process *self = process_current();
    const unsigned uid = self->credentials.user.effective;
    const struct socket *s;
    if (access_capable(CAP_SYS_RESOURCE))
        return 0;
    list_for_each(s, &all_sockets, all)
    {
        unsigned left = s->packets_with_files;
        for (struct list *l = s->queue.next; left; l = l->next) {
            const struct packet *p = list_entry(l, struct packet, link);
            left -= p->file_count != 0;
            count += p->identity.uid == uid ? p->file_count : 0;
        }
    }
    return count > self->limits[RLIMIT_NOFILE].current ? -ETOOMANYREFS : 0;
}

/* Somebody has @s or can receive it: what it holds has to be looked at. */
static void reach(struct socket *s, struct list *work)
{
    if (!s || s->reached)
        return;
    s->reached = true;
    list_add(&s->work, work);
}

static void reach_content(struct socket *s, struct list *work)
{
    struct socket *end;
    unsigned left = s->packets_with_files;
    for (struct list *l = s->queue.next; left; l = l->next) {
        const struct packet *p = list_entry(l, struct packet, link);
        left -= p->file_count != 0;
        for (unsigned i = 0; i < p->file_count; i++)
            reach(socket_of(p->files[i]), work);
    }
    list_for_each(end, &s->pending, waiting) reach(end, work);
}

/* Mark all sockets that are not garbage. */
static void mark(void)
{
    struct list work;
    struct socket *s;
    list_init(&work);
    list_for_each(s, &all_sockets, all) s->reached = false;
    list_for_each(s, &all_sockets, all)
    {
        if (s->file && s->file->refs > s->in_flight)
            reach(s, &work);
    }
    while (!list_empty(&work)) {
        s = list_entry(work.next, struct socket, work);
        list_remove(&s->work);
        reach_content(s, &work);
    }
}

static void move_packets(struct list *from, struct list *to)
{
    while (!list_empty(from)) {
        struct list *const item = from->next;
        list_remove(item);
        list_add(item, to);
    }
}

/* Move what nobody can receive to @doomed: is there any? */
static bool find_garbage(struct list *doomed)
{
    struct socket *s;
    if (!sockets_in_flight)
        return false;
    mark();
    list_for_each(s, &all_sockets, all)
    {
        if (s->reached || s->dead)
            continue;
        s->packets = s->packets_with_files = 0;
        s->bytes = 0;
        move_packets(&s->queue, doomed);
    }
    return !list_empty(doomed);
}

/* A file that is put may be a socket that ends, with packets of its own: they wait here, so that the depth of the stack
 * does not depend on how sockets are packed into each other. */
void packets_drop(struct list *packets)
{
    static struct list doomed = LIST_INIT(doomed);
    static bool busy;
    move_packets(packets, &doomed);
    if (busy)
        return;
    busy = true;
    do {
        while (!list_empty(&doomed)) {
            struct packet *p = list_entry(doomed.next, struct packet, link);
            list_remove(&p->link);
            packet_free(p);
        }
    } while (find_garbage(&doomed));
    busy = false;
}
