#!/bin/sh
# Each way in which Linux ends has its exit code; and it lives with vCPUs that come and go, and with more or fewer
# of them than there are CPUs.
#   test-endings.sh BUILD
set -u
. "$(dirname "$0")/linux.sh"
need_kernels
image=$(kernel cloud-amd64)

ending() { # HOW CODE
    options="-q --cpu max"
    on_paravane "$image" quiet do=run-ending how="$1"
    judge "$1" "$2" $status
}

ending poweroff 0
ending halt 0
ending reboot 0
ending sysrq-reboot 0
ending sysrq-off 0
ending panic 20
told 'the reason' 'a domain crashed'

options='-q --cpu max --vcpus 4 --cpus 2'
on_paravane "$image" quiet do=run-ending how=hotplug
judge 'vCPUs taken away and given back' 0 $status
says 'away' 'round 3: 0'
says 'and back' 'round 3: 0-3, 4'
says 'they work' 'cpu 3 computes 42'
says 'those who ran meanwhile found their results right' 26

for spec in 8/4 2/4; do
    options="-q --cpu max --vcpus ${spec%/*} --cpus ${spec#*/}"
    on_paravane "$(kernel amd64)" quiet do=run-stress seconds=3
    judge "${spec%/*} vCPUs on ${spec#*/} CPUs" 0 $status
    [ "$(grep -c '^ok ' "$out")" = 26 ]
    result $? 'every worker found its results right'
    grep -e '^not ok' -e '^# ' "$out" | comment
done
plan
