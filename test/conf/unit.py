# SPDX-License-Identifier: Apache-2.0
"""podfence.service by systemd's own tools: it is a unit without a fault, its program takes what it is given, it is as
closed as it was made, and what the daemon calls is not among what is closed."""

import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.path.join(os.environ.get("FENCE_BUILD", os.path.join(ROOT, "build")), "bin")
UNIT = os.path.join(ROOT, "conf/podfence.service")
# systemd's exposure level times ten; what is left is root, the host's network, netlink, bpf
EXPOSURE = 22
# of the daemon in the end-to-end tests, by strace, for x86-64 and arm64; the names that a libc may choose from
CALLED = """accept4 bind bpf brk clock_nanosleep close connect dup dup3 epoll_create1 epoll_ctl epoll_pwait
execve exit_group faccessat2 fchmod fcntl flock fsync fstat futex getdents64 getpid getrandom getsockname getsockopt
inotify_add_watch inotify_init1 ioctl listen lseek madvise mkdirat mmap mprotect mremap munmap newfstatat openat
ppoll pread64 prlimit64 read readlinkat recvfrom recvmsg renameat rseq rt_sigaction rt_sigprocmask sendmsg sendto
set_robust_list set_tid_address setsockopt signalfd4 socket statfs statx sysinfo timerfd_create timerfd_settime uname
unlinkat write""".split()
failures = []


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False)


def verify():
    # the program is looked for where cmake installs it
    script = 'mount --bind "$1" /usr/local/sbin && systemd-analyze verify --man=no "$2"'
    told = run("unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", BIN, UNIT)
    if told.returncode != 0 or told.stdout or told.stderr:
        failures.append(f"systemd-analyze verify: {told.returncode}: {told.stdout}{told.stderr}")


def start(lines):
    """The program and its options, but for what the environment adds."""
    (command,) = [line.partition("=")[2].split() for line in lines if line.startswith("ExecStart=")]
    arguments = [word for word in command[1:] if not word.startswith("$")]
    told = run(os.path.join(BIN, command[0]), *arguments, "--version")
    if told.returncode != 0:
        failures.append(f"{command}: {told.stderr}")


def exposure():
    told = run("systemd-analyze", "security", "--offline=yes", "--no-pager", f"--threshold={EXPOSURE}", UNIT)
    if told.returncode != 0:
        failures.append(f"systemd-analyze security: {told.stdout.splitlines()[-1:]}{told.stderr}")


def group(name):
    """The system calls of a group, those of the groups in it too."""
    members = set()
    for line in run("systemd-analyze", "syscall-filter", name).stdout.splitlines()[1:]:
        word = line.strip()
        members |= group(word) if word.startswith("@") else {word} if re.match(r"\w", word) else set()
    return members


def allowed(lines):
    calls = set()
    for line in lines:
        if not line.startswith("SystemCallFilter="):
            continue
        value = line.partition("=")[2]
        for word in value.lstrip("~").split():
            named = group(word) if word.startswith("@") else {word}
            calls = calls - named if value.startswith("~") else calls | named
    return calls


if not shutil.which("systemd-analyze") or os.getuid() != 0:
    print("skipped: needs root and systemd-analyze: run scripts/deps.sh", file=sys.stderr)
    sys.exit(77)
with open(UNIT, encoding="utf-8") as unit:
    text = [line.strip() for line in unit]
verify()
start(text)
exposure()
closed = sorted(set(CALLED) - allowed(text))
if closed:
    failures.append(f"system calls that the daemon needs and the unit closes: {closed}")
for failure in failures:
    print("FAIL", failure)
print(f"{len(failures)} failures")
sys.exit(1 if failures else 0)
