#!/bin/sh
# porting-table.sh [--check|--write]
#
# The list "operation / instruction / hypercall / why" of README.md, made from
# the comments in platform/platform.h.  Without argument it is printed; --write
# puts it into README.md between the two markers; --check fails if README.md has
# another one, or if a function of the header lacks its comment.
set -eu
cd "$(dirname "$0")"
header=platform/platform.h
begin='<!-- porting-table: made by porting-table.sh from platform/platform.h -->'
end='<!-- end of porting-table -->'

table() {
    # A field goes on over lines until the next one or the end of the comment.
    awk '
        function start(field, prefix) { at = field; text[field] = substr($0, length(prefix) + 1) }
        /^\/\*$/                             { at = ""; delete text }
        /^ \* platform_[a-z_]+ - /           { name = $2; start("what", " * " name " - "); next }
        /^ \* Instruction: /                 { start("instruction", " * Instruction: "); next }
        /^ \* Hypercall: /                   { start("hypercall", " * Hypercall: "); next }
        /^ \* Why: /                         { start("why", " * Why: "); next }
        /^ \* / && at != ""                  { sub(/^ \* +/, ""); text[at] = text[at] " " $0 }
        /^ \*\/$/ && name != "" {
            for (field in text)
                sub(/^ +/, "", text[field])
            if (text["instruction"] != "" && text["hypercall"] != "" && text["why"] != "")
                printf "- `%s`%s\n  - native: %s\n  - hypercall: %s\n  - why: %s\n", name,
                       text["what"] ~ /^Queued/ ? " (queued)" : "", text["instruction"], text["hypercall"], text["why"]
            name = at = ""
        }' $header | fold -s -w 112 | sed '/^ *- /!s/^/    /; s/ *$//'
}

# Functions without the four lines, one a line.  platform_interrupt is the platform calling itself.
undocumented() {
    sed -n 's/^[A-Za-z].*[ *]\(platform_[a-z_]*\)(.*;$/\1/p' $header | grep -v '^platform_interrupt$' |
        while read -r name; do
            table | grep -q "^- \`$name\`" || echo "$name"
        done
}

in_readme() {
    sed -n "\\|^$begin|,\\|^$end|p" README.md | sed '1d;$d'
}

case ${1-} in
'') table ;;
--write)
    new=$(mktemp)
    sed "\\|^$begin|q" README.md >"$new"
    table >>"$new"
    sed -n "\\|^$end|,\$p" README.md >>"$new"
    cat "$new" >README.md
    rm "$new"
    ;;
--check)
    missing=$(undocumented)
    if [ -n "$missing" ]; then
        echo "platform.h does not say how these port:" $missing >&2
        exit 1
    fi
    if [ "$(in_readme)" != "$(table)" ]; then
        echo "README.md has another list than platform.h; run porting-table.sh --write" >&2
        exit 1
    fi
    ;;
*)
    echo "usage: porting-table.sh [--check|--write]" >&2
    exit 2
    ;;
esac
