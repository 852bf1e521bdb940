/*
 * Memory that is free: blocks of 2^order frames, naturally aligned (core/memory/page-alloc.c), and small objects of the
 * hypervisor's own (core/memory/slab.c).
 */
#pragma once

#include "page.h"

/* Give RAM to the allocator: frames [first, first + count). At boot, and for what boot used itself.  Those
 * that are known to be zero need no scrubbing. */
enum page_contents { PAGES_USED, PAGES_ZERO };
void page_alloc_add(mfn_t first, uint64_t count, enum page_contents contents);

/* A block of 2^@order frames owned by OWNER_HYPERVISOR, contents undefined; NULL if none.  Whoever builds no
 * domain (vcpu.takes_promised) leaves what is promised (below); so do all that are made of it: page_alloc_zeroed(),
 * page_alloc_shared() and mem_alloc(). */
struct page_info *page_alloc(unsigned order) must_check;
/* The same, but only if @leave frames are free afterwards, and all that are promised. */
#define PAGE_LEAVE_NOTHING (~0ull) /* not even what is promised */
/* Frames that growing domains, and promises, leave to the hypervisor, whose own structures (ports, grant tables, stores) come from
 * the same memory: together domains may be promised more than there is. */
#define PAGE_LEAVE_US 256u
struct page_info *page_alloc_leaving(unsigned order, uint64_t leave) must_check;
/* @count of the frames that are free, or will be in a moment, are promised to somebody: page_alloc_leaving() leaves them
 * there.  Whoever builds a domain takes them; the promise ends by page_promise_end(). */
void page_promise(uint64_t count);
void page_promise_end(uint64_t count);
uint64_t page_promised(void);
/* Is less free than is promised, and the caller builds no domain?  Then not even a small object may be taken. */
bool page_alloc_is_short(void);
bool page_promise_free(uint64_t count) must_check; /* only if so many are free, and not promised */
/* page_alloc(), zeroed; the result is an address. */
void *page_alloc_zeroed(unsigned order) must_check;
/* Return a block that is nobody's any more: every frame has refs 0. */
void page_free(struct page_info *pg, unsigned order);
void page_free_virt(void *va, unsigned order);
uint64_t page_free_count(void); /* frames */

/* Small objects: a block of at least @size bytes (size <= 2048 comes from slabs), zeroed; NULL if none. */
void *mem_alloc(size_t size) must_check;
void mem_free(void *p, size_t size);
