/* The one door to guest memory, by walking the current vCPU's page tables as hardware would. */
#include "arch.h"

#include "walk.h"

bool walk(uint64_t root, uint64_t va, struct walk *w)
{
    uint64_t table = root;

    *w = (struct walk){.writable = true, .user = true};
    for (int level = 4; level >= 1; level--) {
        mfn_t m = maddr_to_mfn(table);
        if (!table || !mfn_valid(m))
            return false;
        w->table[level] = m;
        pte_t e = pte(((const uint64_t *)mfn_to_virt(m))[pt_index(va, level)]);
        if (!pte_present(e))
            return false;
        w->writable &= !!(e.v & PTE_RW);
        w->user &= !!(e.v & PTE_US);
        table = e.v & PTE_ADDR_MASK;
        if (level > 1 && (e.v & PTE_PSE)) { /* only the hypervisor has superpages */
            uint64_t size = 1ull << (PAGE_SHIFT + 9 * (level - 1));
            table = (table & ~(size - 1)) | (va & (size - 1) & PAGE_MASK);
            break;
        }
    }
    w->frame = maddr_to_mfn(table);
    return true;
}

/* Memory behind one guest byte, and how many bytes go on from there; NULL: fault. */
static uint8_t *byte_at(uint64_t va, bool write, size_t *run)
{
    if (va - WINDOW_VA < WINDOW_BYTES) {
        uint64_t limit = write ? machine.window_writable : machine.window_readable;
        if (va - WINDOW_VA >= limit)
            return NULL;
        *run = limit - (va - WINDOW_VA);
        return machine.window + (va - WINDOW_VA);
    }
    const struct vcpu *v = current_vcpu();
    struct walk w;
    bool kernel = v->kernel_mode || machine.cpu[machine_cpu].kernel_view;
    /* In ring 0, which does not need US. */
    if (!walk(kernel ? v->arch.kernel_root : v->arch.user_root, va, &w) || (write && !w.writable) ||
        !mfn_valid(w.frame) || mfn_to_page(w.frame)->owner == OWNER_IO)
        return NULL;
    *run = PAGE_SIZE - (va & ~PAGE_MASK);
    return (uint8_t *)mfn_to_virt(w.frame) + (va & ~PAGE_MASK);
}

/* As the instruction would: what was copied before a fault stays copied. */
static int copy(uint64_t va, void *data, size_t n, bool write)
{
    uint8_t *at = data;

    machine.cpu[machine_cpu].relaxed = 0;
    if (machine.door_faults && !--machine.door_faults)
        return -XEN_EFAULT;
    while (n) {
        size_t run;
        uint8_t *guest = byte_at(va, write, &run);
        if (!guest)
            return -XEN_EFAULT;
        run = MIN(run, n);
        if (write)
            memcpy(guest, at, run);
        else
            memcpy(at, guest, run);
        at += run;
        va += run;
        n -= run;
    }
    return 0;
}

int guest_read(void *to, guest_ptr_t from, size_t n)
{
    return guest_readable(from.va, n) ? copy(from.va, to, n, false) : -XEN_EFAULT;
}

int guest_read_checked(void *to, guest_ptr_t from, size_t n)
{
    return copy(from.va, to, n, false);
}

int guest_write(guest_ptr_t to, const void *from, size_t n)
{
    return guest_access_ok(to.va, n) ? copy(to.va, (void *)from, n, true) : -XEN_EFAULT;
}
