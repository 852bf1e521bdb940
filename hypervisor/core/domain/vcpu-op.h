/* A vCPU's timers, whose handlers raise its timer events (core/domain/vcpu-op.c). */
#pragma once

#include "domain.h"

/* A new vCPU's: the periodic one, the one-shot one and SCHEDOP_poll's; none is armed. */
void vcpu_timers_init(struct vcpu *v);
