/*
 * Physical pages: who has them and how many hold on.
 *
 * Every page that the kernel was given has a struct page.  Free ones are in a
 * buddy allocator; the others carry a reference count.  A page of a process may
 * be held by several address spaces (after fork) and by a file at once.
 */
#pragma once

#include "base.h"
#include "layout.h"
#include "list.h"

/**
 * struct page - one page of RAM.
 *
 * I1  refs == 0 if and only if the page is free (or inside a larger free block,
 *     or a tail of an allocation of order > 0).
 * I2  A page in a free list is the aligned first page of a block of 2^order pages,
 *     and its buddy of the same order is not free as a whole.
 */
struct page {
    struct list link; /* free list; or a list of whoever has it */
    uint32_t refs;
    uint8_t order;
    bool free;      /* first page of a free block */
    bool protected; /* owned by platform/: read-only, the hypervisor takes it for a page table */
    uint8_t heap_class;
    union {
        uint64_t used;    /* of a process's table: which groups of entries (table.c) */
        uint64_t changed; /* of a file on a disk: it is not there yet (inode-disk.c) */
        void *
            heap_free; /* of the heap's: objects that nobody has; each of the others is one of @refs */
    };
};

#define PAGE_ORDERS 11

struct platform_boot;
/* Take over all pages of the machine but those that are in use already. */
void page_init(const struct platform_boot *boot);
/* Give pages to the allocator that it has never had, such as the ramdisk's. */
void page_release_range(const void *start, size_t size);

/*
 * Who may use the last pages.  Processes stop short of what the kernel needs to
 * end one of them, and files stop short of what processes need to remove some.
 */
enum page_user { PAGE_FOR_KERNEL, PAGE_FOR_PROCESS, PAGE_FOR_FILE };

/* From now on, or no longer: let the running task have the last pages, for it must go on. */
void page_emergency(bool on);
/* Is there a page that @user may have? */
bool page_available(enum page_user user);

/* 2^order contiguous pages with one reference on the first; NULL when there are none. */
struct page *page_alloc(unsigned order);
/* One page full of zeroes. */
struct page *page_alloc_zero(enum page_user user);
/* One page, content undefined. */
struct page *page_alloc_one(enum page_user user);

static inline void page_get(struct page *page)
{
    page->refs++;
}
/* Drop one reference; the last one frees. */
void page_put(struct page *page);

/* A free page that is no longer the kernel's to use, until it is given again; NULL if none can be spared. */
struct page *page_withdraw(void);
void page_restore(struct page *page);

extern struct page *page_array; /* one of each page, by number; for the two below */

static inline struct page *page_of(pfn_t n)
{
    return &page_array[n.n];
}

static inline pfn_t page_number(const struct page *page)
{
    return pfn(page - page_array);
}

static inline void *page_at(pfn_t n)
{
    return (void *)(DIRECT_MAP_BASE + (n.n << PAGE_SHIFT));
}

static inline void *page_address(const struct page *page)
{
    return page_at(page_number(page));
}

/* The page that @address of the direct map lies in. */
static inline struct page *page_of_address(const void *address)
{
    return page_of(pfn(((uintptr_t)address - DIRECT_MAP_BASE) >> PAGE_SHIFT));
}

struct page_counts {
    unsigned long total, free;
};
struct page_counts page_count(void);
