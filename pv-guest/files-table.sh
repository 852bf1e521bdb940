#!/bin/sh
# files-table.sh [--write|--check]
#
# The list in kernel/README.md, every file and why it is there: tests/tree/files-list makes it.
cd "$(dirname "$0")/.." && exec tests/tree/files-list "$@" pv-guest/kernel
