/*
 * What a process can have in common with another one, by CLONE_FS and CLONE_SIGHAND.
 *
 * Hardly any do: a process has its own, and only when it is asked for they move to
 * a place of their own, which both point to.
 */
#include "errno.h"
#include "heap.h"
#include "inode.h"
#include "process.h"
#include "text.h"

void places_copy(struct process *child, const struct process *parent)
{
    child->places = &child->own_places;
    *child->places = *parent->places;
    inode_get(child->places->cwd);
    inode_get(child->places->root);
}

int places_make_shared(struct process *p)
{
    if (p->places != &p->own_places)
        return 0;
    struct places *shared = heap_alloc(sizeof(*shared));
    if (!shared)
        return -ENOMEM;
    *shared = p->own_places;
    shared->refs = 1;
    p->places = shared;
    return 0;
}

void places_share(struct process *child, struct process *parent)
{
    parent->places->refs++;
    places_drop(child);
    child->places = parent->places;
}

void places_drop(struct process *p)
{
    struct places *const places = p->places;
    p->places = &p->own_places;
    if (places != &p->own_places && --places->refs)
        return;
    inode_put(places->cwd);
    inode_put(places->root);
    if (places != &p->own_places)
        heap_free(places);
}

void places_unshare(struct process *p)
{
    const struct places were = *p->places;
    if (p->places == &p->own_places)
        return;
    inode_get(were.cwd);
    inode_get(were.root);
    places_drop(p);
    p->own_places = were;
}

/* Actions of several processes. */
struct shared_actions {
    unsigned refs;
    struct linux_sigaction actions[SIGNAL_COUNT + 1];
};

int actions_make_shared(struct process *p)
{
    if (p->actions != p->own_actions)
        return 0;
    struct shared_actions *shared = heap_alloc(sizeof(*shared));
    if (!shared)
        return -ENOMEM;
    memcpy(shared->actions, p->own_actions, sizeof(shared->actions));
    shared->refs = 1;
    p->actions = shared->actions;
    return 0;
}

void actions_share(struct process *child, struct process *parent)
{
    container_of(parent->actions, struct shared_actions, actions[0])->refs++;
    child->actions = parent->actions;
}

void actions_unshare(struct process *p)
{
    if (p->actions == p->own_actions)
        return;
    struct shared_actions *shared = container_of(p->actions, struct shared_actions, actions[0]);
    memcpy(p->own_actions, shared->actions, sizeof(p->own_actions));
    p->actions = p->own_actions;
    if (!--shared->refs)
        heap_free(shared);
}
