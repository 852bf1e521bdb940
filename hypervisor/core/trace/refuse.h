/*
 * Refusals: every way of saying no has a word in C and a stable name for people (paravane/rule-list.h).
 *
 *     return refuse(ROLE_CONFLICT, mfn.n, type, count);
 *
 * records the rule and up to three operands in the running vCPU's trace ring and returns the rule's negative
 * errno.  With --explain the console says the sentence as well.  Cheap when nobody listens.
 */
#pragma once

#include "types.h"
#include <paravane/rule-list.h>

#define RULE(id, word, error, protects, says, source) RULE_##word,
enum rule_id { RULE_NONE, RULE_LIST(RULE) RULE_LIMIT };
#undef RULE

#define DETAIL_ARGS(...)                 DETAIL_PICK_(0, ##__VA_ARGS__, 0, 0, 0)
#define DETAIL_PICK_(zero, a, b, c, ...) (uint64_t)(a), (uint64_t)(b), (uint64_t)(c)

#define refuse(rule, ...) refuse_(RULE_##rule, DETAIL_ARGS(__VA_ARGS__))
cold_ int refuse_(enum rule_id rule, uint64_t a, uint64_t b, uint64_t c);

/* Who else is told of each refusal, set at boot: the record of hypercalls (strace.c), or NULL. */
struct vcpu;
typedef void refuse_recorder_fn(struct vcpu *v, enum rule_id rule, uint64_t a, uint64_t b,
                                uint64_t c);
extern refuse_recorder_fn *refuse_recorder;

struct rule_text {
    const char *id;       /* "PT-017" */
    int error;            /* positive */
    const char *protects; /* why the rule exists */
    const char *says;     /* printf format over three unsigned longs */
};
extern const struct rule_text rule_text[RULE_LIMIT];
extern bool refuse_explains; /* the command line asked for --explain */
