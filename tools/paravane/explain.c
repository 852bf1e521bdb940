/* `paravane explain`: exit codes and refusal rules, from their lists. */
#include "command.h"

#include <ctype.h>
#include <paravane/rule-list.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "manual.h"
#include "memory.h"
#include "verdict.h"

struct rule {
    const char *name, *word, *error, *protects, *says, *source;
};

static const struct rule rules[] = {
#define RULE(name, word, error, protects, says, source) \
    {#name, #word, #error, protects, says, source},
    RULE_LIST(RULE)
#undef RULE
};

static void print_verdicts(void)
{
    printf("exit codes of paravane run:\n\n");
#define V(name, code, meaning, advice) printf("  %3d  %-18s %s\n", code, #name, meaning);
    VERDICT_LIST(V)
#undef V
    printf("\n%zu rules by which the hypervisor refuses; `paravane explain RULE` shows one:\n",
           sizeof(rules) / sizeof(rules[0]));
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        printf("%s%-8s", i % 9 ? " " : "\n  ", rules[i].name);
    putchar('\n');
}

static int explain_verdict(const char *word)
{
    char *end;
    long code = strtol(word, &end, 10);
    if (*end)
        code = -1;
#define V(name, number, meaning, advice)                            \
    if (code == (number) || strcasecmp(word, #name) == 0) {         \
        printf("%d %s: %s.\n%s\n", number, #name, meaning, advice); \
        return 0;                                                   \
    }
    VERDICT_LIST(V)
#undef V
    return -1;
}

/* PT-017, pt_017 and PT_017 are the same rule, and so is its word in C. */
static char *rule_spelling(const char *word)
{
    char *name = memory_strdup(word);
    for (char *c = name; *c; c++)
        *c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
    return name;
}

static char *explain_dashed(const char *name)
{
    char *text = memory_strdup(name);
    for (char *c = text; *c; c++)
        if (*c == '_')
            *c = '-';
    return text;
}

/* A rule that ends the guest, or refuses an image, has no errno: its list says 0. */
static void print_rule(const char *name, const struct rule *r)
{
    bool has_errno = strcmp(r->error, "0") != 0;
    printf("%s %s: %s%s\n", name, r->word,
           has_errno ? "the hypercall answers -" : "the guest does not go on",
           has_errno ? r->error : "");
    printf("  reason: %s\n  says:   %s\n  source: %s\n\n", r->protects, r->says, r->source);
}

static int explain_rule(const char *word)
{
    char *name = rule_spelling(word);
    int rc = -1;

    for (size_t i = 0; rc && i < sizeof(rules) / sizeof(rules[0]); i++) {
        if (strcmp(rules[i].name, name) != 0 && strcmp(rules[i].word, name) != 0)
            continue;
        char *shown = explain_dashed(rules[i].name);
        print_rule(shown, &rules[i]);
        manual_print(shown);
        free(shown);
        rc = 0;
    }
    free(name);
    return rc;
}

int command_explain(int argc, char **argv)
{
    if (argc > 2)
        return verdict_say(VERDICT_USAGE, "explain takes at most one word; leave out the rest");
    if (argc < 2) {
        print_verdicts();
        return VERDICT_OK;
    }
    if (explain_verdict(argv[1]) == 0 || explain_rule(argv[1]) == 0)
        return VERDICT_OK;
    return verdict_say(VERDICT_USAGE,
                       "%s is neither an exit code nor a rule; `paravane explain` lists both",
                       argv[1]);
}
