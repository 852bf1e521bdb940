#!/bin/sh
# Does manual.md say what the lists say?  TAP: one question for each hypercall (section, cost class, arguments), each
# sub-operation (how it is served), each rule (its errno) and each model-specific register (who has it, what it does).
#
#   check-manual.sh FOLDER CC...      FOLDER: hypercall-abi
abi=$1
shift
cc=$*
manual=$abi/manual.md

lists() {
    $cc -E -P -x c -I "$abi/include" - <<'EOF'
#include <paravane/hypercall-list.h>
#include <paravane/msr-list.h>
#include <paravane/rule-list.h>
#define CALL(name, nargs, cost, args) @ call name cost args
#define NONE(name, nargs, args) @ none name
HYPERCALL_LIST(CALL, NONE)
#define OP(name, served, fields) @ sub name served
#define LIST(call, prefix) prefix##_LIST(OP)
SUBOP_LISTS(LIST) VMASST_CMD_LIST(OP)
#define RULE(id, word, error, protects, says, source) @ rule id error
RULE_LIST(RULE)
#define MSR(first, last, name, who, read, value, write, what) @ msr first last who read value write
MSR_LIST(MSR)
EOF
}

lists | tr '\n@' ' \n' | sed 's/"//g; s/  */ /g; s/^ //; s/ $//' | awk -v manual="$manual" '
    function answer(good, what) { printf "%sok %d - %s\n", good ? "" : "not ", ++n, what }
    BEGIN {
        while ((getline line < manual) > 0) {
            if (line ~ /^## /) section = substr(line, 4)
            text[section] = text[section] "\n" line
            split(line, cell, / *\| */)
            if (line ~ /^\|/) row[cell[2]] = row[cell[2]] " " cell[3]
            if (line ~ /^- [A-Z]+-[0-9]+$/) row[substr(line, 3)] = "" # a rule without an errno
            if (section ~ /^Model-specific/) msr[cell[2] " " cell[4] " " cell[5] " " cell[6] " " cell[7]] = 1
        }
    }
    $1 == "call" {
        good = text[$2] ~ ("Cost class " $3 "\\.") && text[$2] ~ /Result:/ && text[$2] ~ /```c/ && text[$2] ~ /Differs from Xen:/
        for (i = 4; i <= NF; i++) {
            split($i, part, ":")
            good = good && index(text[$2], "\n| " part[1] " |")
        }
        answer(good, "section " $2)
    }
    $1 == "none" { answer(($2 in row), "listed as not served: " $2) }
    $1 == "sub" { answer(index(row[$2] " ", " " $3 " "), "sub-operation " $2 " served: " $3) }
    # The register that the table should have: "number who read value write".
    function number(text) { sub(/^0x0*/, "", text); return text == "" ? "0" : text }
    $1 == "msr" {
        range = number($2) ($3 == $2 ? "" : "-" number($3))
        answer((range " " $4 " " $5 " " ($5 == "VALUE" ? $6 : "") " " $7) in msr, "register " range ", " $4)
    }
    $1 == "rule" {
        id = $2; sub(/_/, "-", id)
        if ($3 != "0") answer(index(row[id] " ", " -" $3 " "), "rule " id " is " $3)
        else answer((id in row), "rule " id)
    }
    END { print "1.." n }'
