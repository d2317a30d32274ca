#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Build into build/ (or BUILD_DIR); the programs are then in build/bin. Further arguments go to
# CMake: scripts/build.sh -DFENCE_SANITIZE=ON. BUILD_TARGETS: only these.
set -euo pipefail

source_dir=$(cd "$(dirname "$0")/.." && pwd)
build_dir=${BUILD_DIR:-$source_dir/build}

for tool in cmake ninja clang cc; do
    command -v "$tool" >/dev/null || {
        echo "build.sh: no $tool here: run scripts/deps.sh (as root)" >&2
        exit 1
    }
done
log=$(mktemp)
trap 'rm -f "$log"' EXIT
cmake -S "$source_dir" -B "$build_dir" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo "$@" >"$log" || {
    cat "$log"
    exit 1
}
read -ra targets <<<"${BUILD_TARGETS:-}"
ninja -C "$build_dir" "${targets[@]}"
