/*
 * What a guest reads first: start_info, the hypercall page, shared_info; and its first vCPU.
 *
 * Xen's builders (its toolstack's and the one for domain 0) are the reference for every field.
 * Domain 0 gets no rings: it is the one who serves them, or so it thinks.
 */
#include "arch.h"
#include "builder.h"
#include "console.h"
#include "grant-table.h"
#include "hypercall.h"
#include "lib.h"
#include "page-tables.h"
#include "sched.h"
#include "wallclock.h"
#include "xenstore.h"

#include <xen/grant_table.h>

/* --- the hypercall page ---------------------------------------------------------------------- */

#define STUB_SIZE   32
#define STUB_NUMBER 4 /* where in a stub the hypercall's number stands */

/* Call: SYSCALL destroys rcx and r11, a C caller does not expect that. */
static const uint8_t stub_call[] = {
    0x51,                /* push %rcx         */
    0x41, 0x53,          /* push %r11         */
    0xb8, 0,    0, 0, 0, /* mov $number, %eax */
    0x0f, 0x05,          /* syscall           */
    0x41, 0x5b,          /* pop %r11          */
    0x59,                /* pop %rcx          */
    0xc3,                /* ret               */
};

/* iret never comes back: it expects rcx, r11, rax on the stack, below a frame that the caller
 * built. */
static const uint8_t stub_iret[] = {
    0x51,                /* push %rcx         */
    0x41, 0x53,          /* push %r11         */
    0x50,                /* push %rax         */
    0xb8, 0,    0, 0, 0, /* mov $number, %eax */
    0x0f, 0x05,          /* syscall           */
};

#define INT3 0xcc

void hypercall_page_fill(void *at)
{
    uint8_t *page = at;

    memset(page, INT3, PAGE_SIZE);
    for (uint32_t number = 0; number < PAGE_SIZE / STUB_SIZE; number++) {
        uint8_t *stub = page + number * STUB_SIZE;
        bool iret = number == __HYPERVISOR_iret;

        memcpy(stub, iret ? stub_iret : stub_call, iret ? sizeof(stub_iret) : sizeof(stub_call));
        memcpy(stub + STUB_NUMBER + (iret ? 1 : 0), &number, sizeof(number));
    }
}

/* --- start_info ------------------------------------------------------------------------------ */

/* Behind start_info, in the same page: a VGA text screen is what a PC has until somebody says
 * otherwise. */
static void fill_vga_info(struct start_info *si)
{
    struct dom0_vga_console_info *vga = (struct dom0_vga_console_info *)(si + 1);

    vga->video_type = XEN_VGATYPE_TEXT_MODE_3;
    vga->u.text_mode_3.font_height = 16;
    vga->u.text_mode_3.rows = 25;
    vga->u.text_mode_3.columns = 80;
    si->console.dom0.info_off = sizeof(*si);
    si->console.dom0.info_size = sizeof(*vga);
}

static int fill_rings(struct bootstrap *b, struct start_info *si)
{
    const mfn_t console = bootstrap_mfn(b, b->console_pfn), store = bootstrap_mfn(b, b->store_pfn);

    memset(mfn_to_virt(console), 0, PAGE_SIZE);
    memset(mfn_to_virt(store), 0, PAGE_SIZE);
    long port = console_attach(b->d, console);
    if (port < 0)
        return (int)port;
    si->console.domU.mfn = console.n;
    si->console.domU.evtchn = (uint32_t)port;
    grant_table_seed(b->d, GNTTAB_RESERVED_CONSOLE, 0, console);

    port = xenstore_connect(b->d, store, console, (uint32_t)port);
    if (port < 0)
        return (int)port;
    si->store_mfn = store.n;
    si->store_evtchn = (uint32_t)port;
    return 0;
}

static int fill_start_info(struct bootstrap *b)
{
    const struct domain_config *c = b->config;
    struct start_info *si = bootstrap_page(b, b->start_info_pfn);

    memset(si, 0, PAGE_SIZE);
    string_copy(si->magic, "xen-3.0-x86_64", sizeof(si->magic));
    si->nr_pages = b->pages;
    si->shared_info = mfn_to_maddr(virt_to_mfn(b->d->shared));
    if (c->initial)
        si->flags = SIF_PRIVILEGED | SIF_INITDOMAIN;
    else if (c->roles & ROLE_CONTROL)
        si->flags = SIF_PRIVILEGED;
    si->pt_base = bootstrap_va(b, b->table_pfn);
    si->nr_pt_frames = b->tables;
    si->mfn_list = bootstrap_p2m_apart(b) ? b->image.p2m_base : bootstrap_va(b, b->p2m_pfn);
    if (bootstrap_p2m_apart(b)) {
        si->first_p2m_pfn = b->p2m_pfn;
        si->nr_p2m_frames = b->p2m_pages + b->p2m_tables;
    }
    if (b->ramdisk_bytes) {
        si->mod_len = b->ramdisk_bytes;
        si->mod_start = b->image.mod_start_pfn ? b->ramdisk_pfn : bootstrap_va(b, b->ramdisk_pfn);
        if (b->image.mod_start_pfn)
            si->flags |= SIF_MOD_START_PFN;
    }
    string_copy((char *)si->cmd_line, c->cmdline, sizeof(si->cmd_line));
    if (c->initial) {
        fill_vga_info(si);
        return 0;
    }
    return fill_rings(b, si);
}

/* --- shared_info and the first vCPU ---------------------------------------------------------- */

int start_info_fill(struct bootstrap *b)
{
    struct vcpu *v = b->d->vcpu[0];
    int rc = fill_start_info(b);

    if (rc)
        return rc;
    if (b->image.hypercall_page != ELF_UNSET)
        hypercall_page_fill(
            bootstrap_page(b, (b->image.hypercall_page - b->image.virt_base) >> PAGE_SHIFT));
    wallclock_show(b->d);

    rc = vcpu_load_root(v, bootstrap_mfn(b, b->table_pfn));
    if (rc)
        return rc;
    arch_vcpu_set_entry(v, b->image.entry, bootstrap_va(b, b->stack_pfn + 1),
                        bootstrap_va(b, b->start_info_pfn));
    v->initialised = 1;
    vcpu_unpause(v, PAUSE_DOWN);
    return 0;
}
