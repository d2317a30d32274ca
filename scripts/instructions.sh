#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# As root, after scripts/build.sh: how many instructions the kernel's verifier goes through for each
# program of both objects. Exit 1 when one takes more than MAX (20,000, or the argument): far below the
# kernel's million, so that older verifiers, which prune less, take it too. 77: not root.
set -euo pipefail

build=${FENCE_BUILD:-$(cd "$(dirname "$0")/.." && pwd)/build}
max=${1:-20000}
folder=

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

# counts OBJECT: a line for each program, from what the verifier says.
counts() {
    local status=0
    bpftool -d prog loadall "$build/bpf/$1.bpf.o" "$folder/fs/$1" 2>&1 |
        awk -v object="$1" -v last="$folder/last" '
            match($0, /prog \047[a-z_]+\047: -- BEGIN PROG LOAD LOG/) { split($0, part, "\047"); name = part[2] }
            $1 == "processed" { print object, name, $2 }
            /^(libbpf|Error)/ { print >last }' || status=$?
    [ "$status" -eq 0 ] || {
        tail -n 5 "$folder/last" >&2
        echo "instructions.sh: $1 does not load" >&2
        return 1
    }
}

counts podfence >"$folder/counts"
counts podfence_plain >>"$folder/counts"
printf '%-16s %-16s %12s\n' object program instructions
awk -v max="$max" '
    { printf "%-16s %-16s %12d%s\n", $1, $2, $3, ($3 > max ? "  more than " max : ""); over += ($3 > max) }
    END { exit (over > 0 || NR == 0) }' "$folder/counts"
