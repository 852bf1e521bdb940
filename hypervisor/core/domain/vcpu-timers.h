/* A vCPU's timers, as they begin (core/domain/vcpu-timers.c); vcpu-op.c and runstate.c arm them. */
#pragma once

struct vcpu;

/* A new vCPU's: the periodic one, the one-shot one and SCHEDOP_poll's; none is armed. */
void vcpu_timers_init(struct vcpu *v);
