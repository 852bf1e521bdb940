#!/bin/sh
# files-table.sh [--write|--check]
#
# The list in kernel/README.md, every file and why it is there, from the first sentence at the head of each.
# --write puts it there, --check fails if there is another one, or a file says nothing about itself.
set -eu
cd "$(dirname "$0")/kernel"
begin='<!-- made by files-table.sh from the heads of the files -->'
end='<!-- end of the list -->'

# The words of the first comment, up to a full stop at the end of a word or to the end of the comment.
sentence() {
    awk 'FNR == 1 && !/^\/\*/ { exit }
         { line = $0; last = sub(/ *\*\/.*/, "", line); sub(/^ *\/?\*+ ?/, "", line) }
         line == "" && text != "" { exit }
         line != "" { text = text == "" ? line : text " " line }
         last || text ~ /[.:]$/ || text ~ /\. / { exit }
         END { sub(/\. .*/, "", text); sub(/[.:]$/, "", text); print text }' "$1"
}

table() {
    for file in *.c *.h *.S; do
        echo "- \`$file\`: $(sentence "$file")" | fold -s -w 112 | sed '2,$s/^/  /; s/ *$//'
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
    if table | grep -e '`:$'; then
        echo "these files do not say at their head what they are for" >&2
        exit 1
    fi
    [ "$(in_readme)" = "$(table)" ] || {
        echo "kernel/README.md has another list than the files; run files-table.sh --write" >&2
        exit 1
    }
    ;;
*)
    echo "usage: files-table.sh [--write|--check]" >&2
    exit 2
    ;;
esac
