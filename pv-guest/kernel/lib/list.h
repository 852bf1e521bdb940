/* Circular doubly linked lists; the link is embedded in what is listed. */
#pragma once

#include "base.h"

struct list {
    struct list *next, *prev;
};

#define LIST_INIT(name)  \
    {                    \
        &(name), &(name) \
    }

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

static inline void list_add_before(struct list *item, struct list *where)
{
    item->prev = where->prev;
    item->next = where;
    where->prev->next = item;
    where->prev = item;
}

/* Append @item to the list headed by @head. */
static inline void list_add(struct list *item, struct list *head)
{
    list_add_before(item, head);
}

static inline void list_add_first(struct list *item, struct list *head)
{
    list_add_before(item, head->next);
}

/* Unlink @item and leave it an empty list, so that removing it again is harmless. */
static inline void list_remove(struct list *item)
{
    item->prev->next = item->next;
    item->next->prev = item->prev;
    list_init(item);
}

#define list_entry(item, type, member) container_of(item, type, member)

#define list_for_each(var, head, member)                                                   \
    for (var = list_entry((head)->next, __typeof__(*var), member); &var->member != (head); \
         var = list_entry(var->member.next, __typeof__(*var), member))

/* As list_for_each, and the body may unlink or free @var. */
#define list_for_each_safe(var, after, head, member)                    \
    for (var = list_entry((head)->next, __typeof__(*var), member),      \
        after = list_entry(var->member.next, __typeof__(*var), member); \
         &var->member != (head);                                        \
         var = after, after = list_entry(var->member.next, __typeof__(*var), member))
