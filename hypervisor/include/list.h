/* Doubly linked rings with a head, the usual intrusive kind. */
#pragma once

#include "types.h"

struct list {
    struct list *next, *prev;
};

static inline void list_init(struct list *head)
{
    head->next = head->prev = head;
}

static inline bool list_empty(const struct list *head)
{
    return head->next == head;
}

static inline void list_add_before(struct list *at, struct list *item)
{
    item->next = at;
    item->prev = at->prev;
    at->prev->next = item;
    at->prev = item;
}

static inline void list_append(struct list *head, struct list *item)
{
    list_add_before(head, item);
}

static inline void list_remove(struct list *item)
{
    item->prev->next = item->next;
    item->next->prev = item->prev;
    item->next = item->prev = item;
}

#define list_entry(p, type, member) container_of(p, type, member)
#define list_for_each(it, head)     for (struct list *it = (head)->next; it != (head); it = it->next)
