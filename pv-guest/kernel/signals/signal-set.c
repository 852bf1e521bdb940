/* Sets of pending signals, with what is told about each. */
#include "heap.h"
#include "linux.h"
#include "signal-set.h"

#define ITEMS_MAX 128 /* of one set; further ones go without, or not at all */

struct signal_item {
    struct list link;
    struct signal_info info;
};

static uint64_t bit(int number)
{
    return 1ul << (number - 1);
}

void signal_set_add(struct signal_set *set, const struct signal_info *info)
{
    if (info->number < SIGRTMIN && (set->pending & bit(info->number)))
        return;
    struct signal_item *item = set->count < ITEMS_MAX ? heap_alloc(sizeof(*item)) : NULL;
    set->pending |= bit(info->number);
    if (!item)
        return;
    item->info = *info;
    list_add(&item->link, &set->items);
    set->count++;
}

static void item_free(struct signal_set *set, struct signal_item *item)
{
    list_remove(&item->link);
    heap_free(item);
    set->count--;
}

void signal_set_take(struct signal_set *set, int number, struct signal_info *info)
{
    struct signal_item *item, *after;
    bool found = false;

    *info = (struct signal_info){.number = number};
    set->pending &= ~bit(number);
    list_for_each_safe(item, after, &set->items, link)
    {
        if (item->info.number != number)
            continue;
        if (found) {
            set->pending |= bit(number); /* there is another one */
            return;
        }
        found = true;
        *info = item->info;
        item_free(set, item);
    }
}

void signal_set_drop(struct signal_set *set, uint64_t mask)
{
    struct signal_item *item, *after;
    set->pending &= ~mask;
    list_for_each_safe(item, after, &set->items, link)
    {
        if (mask & bit(item->info.number))
            item_free(set, item);
    }
}
