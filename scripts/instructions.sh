#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# As root, after scripts/build.sh: what each program of both objects asks of the kernel's verifier.
# Exit 1 when one takes
#   more instructions than MAX (21,600, or the argument): far below the kernel's million, so that older
#   verifiers, which prune less, take it too
#   more than 512 bytes of stack in its deepest chain of calls, each rounded up to 32 as older verifiers do
# 77: not root.
set -euo pipefail

build=${FENCE_BUILD:-$(cd "$(dirname "$0")/.." && pwd)/build}
max=${1:-21600}

[ "$(id -u)" -eq 0 ] || {
    echo "instructions.sh: needs root to load BPF programs" >&2
    exit 77
}

# A BPF file system that nobody else sees; programs are gone with it.
if [ -z "${FENCE_INSIDE:-}" ]; then
    FENCE_INSIDE=1 exec unshare --mount --propagation private "$BASH" "$0" "$@"
fi
folder=$(mktemp -d)
trap 'umount "$folder/fs" 2>/dev/null; rm -rf "$folder"' EXIT
mkdir "$folder/fs"
mount -t bpf bpf "$folder/fs"
objdump=$(command -v llvm-objdump || command -v llvm-objdump-14)

# instructions OBJECT: "OBJECT PROGRAM COUNT" for each, as the verifier says.
instructions() {
    bpftool -d prog loadall "$build/bpf/$1.bpf.o" "$folder/fs/$1" >"$folder/log" 2>&1 || {
        grep -v '^libbpf' "$folder/log" | tail -n 12 >&2
        echo "instructions.sh: $1 does not load" >&2
        return 1
    }
    awk -v object="$1" '
        /-- BEGIN PROG LOAD LOG/ { split($0, part, "\047"); name = part[2] }
        $1 == "processed" { print object, name, $2 }' "$folder/log"
}

# stacks OBJECT: "OBJECT PROGRAM BYTES CHAIN" for each, from its code.
stacks() {
    "$objdump" -dr --no-show-raw-insn "$build/bpf/$1.bpf.o" | python3 -c '
import re, sys
used, calls, programs, section, name = {}, {}, [], "", ""
for line in sys.stdin:
    if found := re.match(r"Disassembly of section (\S+):", line):
        section = found[1]
    elif (found := re.match(r"[0-9a-f]+ <(\w+)>:", line)) and not found[1].startswith("LBB"):
        name = found[1]
        used[name], calls[name] = 1, set()
        if section == "tc":
            programs.append(name)
    for offset in re.findall(r"r10 - (\w+)\)", line) + re.findall(r"r\d+ \+= -(\w+)$", line.strip()):
        if int(offset, 0) <= 512:
            used[name] = max(used[name], int(offset, 0))
    if found := re.search(r"R_BPF_64_32\s+(\w+)", line):
        calls[name].add(found[1])
def deepest(name):
    below = max((deepest(called) for called in calls[name] if called in used), default=(0, ""))
    return (used[name] + 31) // 32 * 32 + below[0], f" > {name}{below[1]}"
for name in programs:
    print(sys.argv[1], name, deepest(name)[0], deepest(name)[1][3:])
' "$1"
}

for object in podfence podfence_plain; do
    instructions "$object"
done >"$folder/instructions"
for object in podfence podfence_plain; do
    stacks "$object"
done >"$folder/stacks"
printf '%-16s %-16s %12s %6s  %s\n' object program instructions stack "deepest chain of calls"
awk -v max="$max" '
    NR == FNR { stack[$1, $2] = $3; $3 = $3 " "; sub(/^[^ ]+ [^ ]+ [^ ]+ +/, ""); chain[FNR] = $0; next }
    {
        printf "%-16s %-16s %12d %6d  %s\n", $1, $2, $3, stack[$1, $2], chain[FNR]
        over += $3 > max || stack[$1, $2] > 512 || !stack[$1, $2]
    }
    END {
        if (over)
            print "more than " max " instructions, or than 512 bytes of stack: " over
        exit (over > 0 || NR == 0)
    }' "$folder/stacks" "$folder/instructions"
