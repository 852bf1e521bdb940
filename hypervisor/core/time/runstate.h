/*
 * A vCPU's time: what the scheduler and the way to the guest do about it (core/time/runstate.c).
 *
 * Time reaches a guest in three ways: a timer event (VIRQ_TIMER) from one of two timers, the
 * periodic one, which ticks only while the vCPU runs, and the one-shot one, which also wakes it;
 * the pvclock record in vcpu_info, from which the guest computes system time from the TSC; and the
 * run-state area, which says how long it was not running although it wanted to.
 *
 * The areas that the guest registers by virtual address are written on the way to the guest,
 * through its kernel's page tables: the addresses need not be mapped in those of its user mode.
 */
#pragma once

#include "domain.h"

void vcpu_set_runstate(struct vcpu *v, enum vcpu_run_state s, uint64_t now);
/* @v starts / stops running on this CPU: its periodic timer ticks only while it runs. */
void vcpu_timers_resume(struct vcpu *v);
void vcpu_timers_suspend(struct vcpu *v);
/* Start the periodic timer of @v, which runs here.  A tick that is overdue comes at once. */
void vcpu_periodic_start(struct vcpu *v);
/* None of its timers is armed any more. */
void vcpu_timers_destroy(struct vcpu *v);

/* Publish the run-state and time areas of @v, which runs here, to guest memory (on the way to the guest when
 * EXIT_RUNSTATE was set). */
void vcpu_publish_areas(struct vcpu *v);
/* @v's published time gets a new point before @v goes on.  For the running vCPU. */
void vcpu_time_expire(struct vcpu *v);

/* For core/domain-calls/vcpu-op.c.  What the run-state area of @v has to say: as of its last change, or @until_now. */
void runstate_get(const struct vcpu *v, struct vcpu_runstate_info *info, bool until_now);
/* Write it to @at.  An area that went away is the guest's own loss: nothing to report. */
void runstate_publish(struct vcpu *v, guest_ptr_t at, bool until_now);
/* A new pvclock record in @v's vcpu_info; a copy of one in a time area. */
void time_publish(struct vcpu *v);
void time_area_publish(const struct vcpu_time_info *t, guest_ptr_t at);
