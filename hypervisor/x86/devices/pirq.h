/* Physical interrupts, for physdev.c (x86/devices/pirq.c).  0 or -errno, having changed nothing. */
#pragma once

#include "arch.h"

int pirq_unmap(struct domain *d, unsigned pirq) must_check;
/* @d has served its device. */
int pirq_served(struct domain *d, unsigned pirq) must_check;
/* A number that @d may map something as, kept for it: one of a line that it has not mapped, or of a message; which one. */
int pirq_reserve(struct domain *d, bool line) must_check;
/* @d's frame @frame says from now on which pirqs want their EOI; @unmasks: an EOI unmasks the pirq's port, too. */
int pirq_eoi_map(struct domain *d, uint64_t frame, bool unmasks) must_check;
void pirq_audit_init(void);
