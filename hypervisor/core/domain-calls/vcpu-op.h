/* What a vCPU and a domain begin with, where a toolstack or the builder says it in a guest's stead (core/domain-calls/vcpu-op.c). */
#pragma once

#include "domain.h"

struct vcpu_guest_context;

/* VCPUOP_initialise: the registers that @v, which never ran, begins with.  0, -XEN_EEXIST, or what arch_vcpu_set_context() says. */
int vcpu_initialise(struct vcpu *v, const struct vcpu_guest_context *context) must_check;
/* A non-maskable interrupt: delivered once, however often it is sent before. */
void vcpu_send_nmi(struct vcpu *v);
/* The conveniences that a new guest relies on, as far as there are such (core/domain-calls/vm-assist.c). */
void vm_assist_set(struct domain *d, uint64_t bits);
