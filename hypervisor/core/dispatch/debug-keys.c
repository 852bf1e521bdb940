/*
 * What the hypervisor does with what is typed to it: one key each, or a line for the stores of
 * guests.
 *
 * `s` asks for a line, "DOMAIN PATH [VALUE]", and writes the node (or prints it) as a toolstack in
 * domain 0 would: guests listen to some of them.
 *
 *     1 memory/target 131072        it is to use so many KiB (xl mem-set)
 *     1 control/shutdown poweroff   it is asked to; or reboot, halt, suspend (xl shutdown)
 *     1 cpu/1/availability offline  it is to take its second vCPU down (xl vcpu-set)
 *
 * Keys arrive in interrupt context, their work is done by the idle vCPU.
 */
#include "debug-keys.h"

#include "arch.h"
#include "domain-config.h"
#include "evtchn.h"
#include "lib.h"
#include "sched.h"
#include "xenstore.h"

static void list_vcpu(const struct vcpu *v)
{
    static const char *const states[] = {"running", "runnable", "blocked", "offline"};
    uint64_t ran = v->runstate_time[RUNSTATE_running];
    if (v->runstate == VCPU_RUNNING)
        ran += arch_now() - v->runstate_since;
    printk("  v%u: CPU %u, %s (reasons to pause %x), ran for %lu ms, %lu instructions emulated, "
           "event upcall %s\n",
           v->id, v->cpu, states[v->runstate], v->pause, ran / 1000000, v->emulated,
           vcpu_event_pending(v) ? "pending" : "not pending");
}

static void list_domains(void)
{
    for (struct domain *d = domain_next(NULL); d; d = domain_next(d)) {
        printk("d%u %s: %u of %u pages, %u vCPUs%s%s\n", d->id, d->name, d->tot_pages, d->max_pages,
               d->max_vcpus, d->shut_down ? ", shut down" : "", d->dying ? ", dying" : "");
        for_each_vcpu(d, v)
            list_vcpu(v);
    }
}

/* --- a line for a store ---------------------------------------------------------------------- */

static struct {
    char text[160];
    unsigned length;
    bool open;    /* being typed; guarded by the console lock */
    uint8_t busy; /* being done (atomic) */
    struct work work;
} line;

static const char *error_text(int rc)
{
    switch (-rc) {
    case XEN_ENOENT:
        return "there is no such node";
    case XEN_ENOSYS:
        return "its store is not the hypervisor's to serve";
    case XEN_EINVAL:
        return "this is no path of a node";
    case XEN_ENOMEM:
        return "no memory is left in the machine";
    default:
        return "no room is left in its store";
    }
}

/* "DOMAIN PATH [VALUE]" */
static void do_line(void)
{
    char *path, *value;
    const unsigned long id = strtoul(line.text, &path, 10);

    if (path == line.text || *path++ != ' ' || !*path || id >= DOMID_FIRST_RESERVED) {
        printk("type: DOMAIN PATH [VALUE], say: 1 memory/target 131072\n");
        return;
    }
    value = strchr(path, ' ');
    if (value)
        *value++ = '\0';
    struct domain *d = domain_get((domid_t)id);
    if (!d) {
        printk("there is no domain %lu\n", id);
        return;
    }
    int rc = value ? xenstore_write(d, path, value) : 0;
    if (!rc)
        rc = xenstore_print(d, path);
    if (rc)
        printk("d%lu %s: %s\n", id, path, error_text(rc));
    domain_put(d);
}

static void run_line(struct work *w)
{
    do_line();
    atomic_set_release(&line.busy, 0);
}

static void line_open(void)
{
    if (atomic_read_acquire(&line.busy))
        return;
    line.open = true;
    line.length = 0;
    printk("store> ");
}

static void line_close(void)
{
    printk_more("\n");
    line.open = false;
}

static void line_key(char key)
{
    if (key == '\r' || key == '\n') {
        line_close();
        line.text[line.length] = '\0';
        line.busy = 1;
        line.work.run = run_line;
        work_add(&line.work);
    } else if ((key == '\b' || key == 0x7f) && line.length) {
        line.length--;
        printk_more("\b \b");
    } else if (key >= ' ' && key <= '~' && line.length < sizeof(line.text) - 1) {
        line.text[line.length++] = key;
        printk_more("%c", key);
    }
}

/* --- keys ------------------------------------------------------------------------------------ */

static struct work key_work;
static char key_pressed;

static void run_key(struct work *w)
{
    switch (key_pressed) {
    case 'a':
        printk("audit: %u differences\n", page_audit());
        break;
    case 'd':
        arch_dump_all();
        break;
    case 'm':
        domain_memory_report();
        break;
    case 'q':
        list_domains();
        break;
    case 'R':
        arch_machine_end(MACHINE_REBOOT, 0);
    case 'C': /* as Xen's: to see what such an end looks like, and to test that it is told */
        bug(__FILE__, __LINE__, "asked for by debug key C");
    default:
        printk("a: audit  d: dump vCPUs  m: memory  q: domains  s: a node of a domain's store  "
               "C: crash the hypervisor  R: reboot the machine  h: this\n");
    }
}

static void debug_key(char key)
{
    if (line.open) {
        line_key(key);
    } else if (key == 's') {
        line_open();
    } else if (key != '\r' && key != '\n') {
        key_pressed = key;
        key_work.run = run_key;
        work_add(&key_work);
    }
}

static void debug_keys_leave(void)
{
    if (line.open)
        line_close();
}

const struct console_keys debug_keys = {.key = debug_key, .leave = debug_keys_leave};
