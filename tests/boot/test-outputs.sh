#!/bin/sh
# Where the tool's output goes, or cannot go: descriptors that are closed, full disks, readers that have
# gone.  Never is a byte lost with exit status 0.
#   test-outputs.sh BUILD
set -u
. "$(dirname "$0")/tap.sh"

run() { "$paravane" run --timeout 100 --dom0 "$@"; }

# shell WHAT CODE COMMAND: a shell command, for redirections that ask() does not have; $1 is the tool.
shell() {
    ask "$1" "$2" sh -c "$3" sh "$paravane" "$sample" "$work"
}

# What is closed does not become a file of the tool's, which the machine would then open.
shell 'stdin closed' 0 '"$1" run -q --dom0 "$2" say:here~ <&-'
says 'stdin closed: the guest was heard' here
shell 'stderr closed' 0 '"$1" run --dom0 "$2" say:here~ 2>&-'
says 'stderr closed: the guest was heard' here
shell 'all closed, by a guest that says nothing' 0 '"$1" run -q --dom0 "$2" <&- >&- 2>&-'
shell 'all closed, a crash' 20 '"$1" run -q --dom0 "$2" crash <&- >&- 2>&-'
shell 'stdout closed' 25 '"$1" run -q --dom0 "$2" say:here~ >&-'
told 'stdout closed: the sentence' 'cannot write stdout: Bad file descriptor'

# Nowhere to write to.
shell 'stdout on a full disk' 25 '"$1" run -q --dom0 "$2" say:here~ >/dev/full'
told 'stdout on a full disk: the sentence' 'cannot write stdout: No space left on device'
shell 'the end does not come before the loss is told' 25 '"$1" run -q --dom0 --timeout 100 "$2" say:here~ spin >/dev/full'
shell 'stderr on a full disk' 25 '"$1" run --dom0 "$2" 2>/dev/full'
ask 'the log on a full disk' 25 run -q --log /dev/full "$sample" say:here~
told 'the log on a full disk: the sentence' 'cannot write /dev/full: No space left on device'
ask 'a crash that was expected, its log on a full disk' 25 \
    run -q --expect GUEST_CRASHED --log /dev/full "$sample" say:here~ crash
shell 'TAP on a full disk' 25 '"$1" run -q --dom0 --tap "$2" say:1..1~ok_1~ >/dev/full'
ask 'a trace on a full disk' 25 "$paravane" strace -q -o /dev/full "$sample" calls
shell 'a log beyond what the shell allows' 25 'ulimit -f 0; "$1" run -q --dom0 --log "$3/log" "$2" say:here~'
for words in help 'help run' 'run --help' 'inspect BUILD' 'inspect -o json BUILD' explain 'explain 20' hypercalls \
    'hypercalls mmu_update' 'run --print-command --bundle DIR BUILD'; do
    command=$(echo "$words" | sed "s|BUILD|$sample|; s|DIR|$work/bundle|")
    shell "$words on a full disk" 25 "\"\$1\" $command >/dev/full"
done

# A reader that has gone ends the run at once, as it would end any program.
shell 'nobody reads stdout' 25 '{ "$1" run -q --dom0 --timeout 100 "$2" say:here~ say:here~ yield:100000 say:there~ spin; echo $? >"$3/status"; } |
    head -n 1 >"$3/first"; exit "$(cat "$3/status")"'
told 'nobody reads stdout: the sentence' 'cannot write stdout: Broken pipe'

# A pipe that somebody has made non-blocking (runners in some languages do) gets everything, however late it is read.
cat >"$work/late.py" <<'PYTHON'
import fcntl, os, subprocess, sys, time
r, w = os.pipe()
fcntl.fcntl(w, fcntl.F_SETPIPE_SZ, 4096)
os.write(w, b'.' * 4096)  # full
fcntl.fcntl(w, fcntl.F_SETFL, os.O_NONBLOCK)
tool = subprocess.Popen(sys.argv[1:], stdout=w, stdin=subprocess.DEVNULL)
os.close(w)


def machine_has_ended():
    try:
        with open(f'/proc/{tool.pid}/task/{tool.pid}/children') as f:
            return any(' (qemu' in (line := open(f'/proc/{child}/stat').read()) and ') Z ' in line for child in f.read().split())
    except FileNotFoundError:
        return False


for _ in range(1000):  # at most 100 s
    if tool.poll() is not None or machine_has_ended():
        break
    time.sleep(0.1)
data = b''
while block := os.read(r, 65536):
    data += block
print(data.lstrip(b'.').decode())
sys.exit(tool.wait())
PYTHON
if command -v python3 >/dev/null; then
    ask 'a full pipe that does not block' 0 python3 "$work/late.py" "$paravane" run -q --dom0 --timeout 100 "$sample" say:here~
    says 'and nothing is missing' here
fi
plan
