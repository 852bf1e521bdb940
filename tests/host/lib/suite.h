/*
 * What every test file includes: Criterion, the guest, and a start for tests that need a whole
 * machine.
 *
 * Core's headers declare its own C library; names.h has given those names a prefix, so both can be
 * included.
 */
#pragma once

#include <criterion/criterion.h>
#include <signal.h>

#include "arch.h"
#include "guest.h"
#include "lib.h"

/* Is @rc rule @rule's errno, and was that rule recorded? */
#define assert_refused(g, rc, rule)                                                                \
    do {                                                                                           \
        long rc_ = (rc);                                                                           \
        enum rule_id rule_ = last_rule((g)->v);                                                    \
        cr_assert(rule_ == RULE_##rule, "refused by %s, expected %s", rule_text[rule_].id, #rule); \
        cr_assert(rc_ == -rule_text[RULE_##rule].error, "%ld is not the errno of %s", rc_, #rule); \
    } while (0)

#define assert_eq_long(have, want)                                                \
    do {                                                                          \
        long have_ = (long)(have), want_ = (long)(want);                          \
        cr_assert(have_ == want_, "%s is %ld (%#lx), expected %ld", #have, have_, \
                  (unsigned long)have_, want_);                                   \
    } while (0)

#define assert_ok(rc) assert_eq_long(rc, 0)
