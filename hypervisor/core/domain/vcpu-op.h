/* What a vCPU begins with: timers, whose handlers raise its timer events, and registers (core/domain/vcpu-op.c). */
#pragma once

#include "domain.h"

struct vcpu_guest_context;

/* A new vCPU's: the periodic one, the one-shot one and SCHEDOP_poll's; none is armed. */
void vcpu_timers_init(struct vcpu *v);
/* VCPUOP_initialise: the registers that @v, which never ran, begins with.  0, -XEN_EEXIST, or what arch_vcpu_set_context() says. */
int vcpu_initialise(struct vcpu *v, const struct vcpu_guest_context *context) must_check;
/* The conveniences that a new guest relies on, as far as there are such (core/domain/vm-assist.c). */
void vm_assist_set(struct domain *d, uint64_t bits);
