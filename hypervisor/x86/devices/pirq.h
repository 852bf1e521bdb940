/* Physical interrupts, for physdev.c (x86/devices/pirq.c).  0 or -errno, having changed nothing. */
#pragma once

#include "arch.h"

int pirq_unmap(struct domain *d, unsigned pirq) must_check;
/* @d has served its device. */
int pirq_served(struct domain *d, unsigned pirq) must_check;
enum pirq_kind { PIRQ_OF_LINE, PIRQ_OF_MESSAGE };
/* A number that @d may map something as, kept for it: of a line that it has not mapped, if @kind says so and there is one; else of a
 * message.  Which one. */
int pirq_reserve(struct domain *d, enum pirq_kind kind) must_check;
enum eoi_effect { EOI_ONLY, EOI_UNMASKS_PORT };
/* @d's frame @frame says from now on which pirqs want their EOI; what an EOI does. */
int pirq_eoi_map(struct domain *d, uint64_t frame, enum eoi_effect effect) must_check;
void pirq_audit_init(void);
