# Join the TAP of two hypervisors: awk -v image=NAME -v both=1 -f compare.awk EXPECTED OURS XEN
#
# A test is known by its name, and by how often that name came before.

function trim(s) { sub(/^[ \t]+/, "", s); sub(/[ \t]+$/, "", s); return s }

# A shell pattern with only * as a regular expression.
function pattern_to_regex(p) {
    gsub(/[].[$+?(){}|]/, "[&]", p)
    gsub(/\*/, ".*", p)
    return "^" p "$"
}

# The reason why @test is expected to fail on @side, or "".
function expected(side, test,    i) {
    for (i = 1; i <= expectations; i++)
        if (e_side[i] == side && test ~ e_regex[i]) {
            e_used[i] = 1
            return e_reason[i]
        }
    return ""
}

function answer(status, diag) {
    return status == "" ? "no result" : status (diag == "" ? "" : "  (" diag ")")
}

FNR == 1 {
    # By name, not by counting: a run that said nothing is an empty file.
    for (file = 1; ARGV[file] != FILENAME; file++)
        ;
}

file == 1 {
    if ($0 ~ /^[ \t]*(#|$)/)
        next
    at = index($0, " -- ")
    if (!at || ($1 != "ours" && $1 != "xen")) {
        print "Bail out! expected-differences.txt:" FNR ": not of the form: side image test -- reason"
        bad = 1
        exit 1
    }
    left = trim(substr($0, 1, at - 1))
    split(left, words, /[ \t]+/)
    if (words[2] != image)
        next
    expectations++
    e_side[expectations] = words[1]
    sub(/^[^ \t]+[ \t]+[^ \t]+[ \t]+/, "", left)
    e_regex[expectations] = pattern_to_regex(left)
    e_text[expectations] = left
    e_reason[expectations] = trim(substr($0, at + 4))
    next
}

/^(ok|not ok) / {
    side = file == 2 ? "ours" : "xen"
    status = $1 == "ok" ? "ok" : "not ok"
    name = $0
    sub(/^(ok|not ok) [0-9]+ - /, "", name)
    skip = ""
    if (match(name, / # SKIP.*/)) {
        skip = substr(name, RSTART)
        name = substr(name, 1, RSTART - 1)
    }
    times[side, name]++
    key = name SUBSEP times[side, name]
    result[side, key] = status
    if (skip != "")
        skipped[side, key] = skip
    last = side SUBSEP key
    if (!(key in known)) {
        known[key] = name
        order[++tests] = key
    }
    next
}
/^# got / { diag[last] = substr($0, 3); next }
/^# / { notes[file] = notes[file] $0 "\n"; next }
/^1\.\./ { planned[file == 2 ? "ours" : "xen"] = 1; next }
/^Bail out!/ { bail[file == 2 ? "ours" : "xen"] = $0; next }

END {
    if (bad)
        exit 1
    print "TAP version 13"
    for (i = 1; i <= tests; i++) {
        key = order[i]
        name = known[key]
        ours = result["ours", key]
        xen = both ? result["xen", key] : ours
        # What is not asked here may differ elsewhere.
        if (("ours", key) in skipped)
            expected("ours", name)
        if (("xen", key) in skipped)
            expected("xen", name)
        our_reason = ours == "ok" ? "" : expected("ours", name)
        xen_reason = xen == "ok" ? "" : expected("xen", name)
        if (ours == "ok" && xen == "ok")
            print "ok " i " - " name skipped["ours", key]
        else if (ours == "ok" && both && xen_reason != "")
            print "ok " i " - " name
        else if (our_reason != "" && xen == "ok")
            print "not ok " i " - " name " # TODO " our_reason
        else {
            print "not ok " i " - " name
            failed++
        }
        if (ours != "ok" || xen != "ok") {
            print "#   paravane: " answer(ours, diag["ours", key])
            if (both)
                print "#   Xen 4.17: " answer(xen, diag["xen", key])
            if (our_reason xen_reason != "")
                print "#   expected: " our_reason xen_reason
        }
    }
    ends["ours"] = "paravane"
    ends["xen"] = "Xen 4.17"
    for (s = 1; s <= 1 + both; s++) {
        side = s == 1 ? "ours" : "xen"
        good = planned[side] && !(side in bail)
        print (good ? "ok " : "not ok ") ++tests " - " image " ran to its end on " ends[side]
        if (side in bail)
            print "#   " bail[side]
        failed += !good
    }
    if (both)
        for (i = 1; i <= expectations; i++)
            if (!e_used[i]) {
                print "not ok " ++tests " - an expected difference does not exist: " e_side[i] " " e_text[i]
                failed++
            }
    printf "%s", notes[2]
    print "1.." tests
    exit 0
}
