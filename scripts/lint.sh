#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Formatting, clang-tidy over everything that is compiled, shellcheck over the scripts. Needs a
# build in build/ (or BUILD_DIR). Arguments: only these C files, at which clang's static analyzer looks
# too. It takes 4 to 8 s a file, half an hour of a processor for all of them: name what you change.
set -euo pipefail

cd "$(dirname "$0")/.."
build_dir=${BUILD_DIR:-build}
failed=0

[ -f "$build_dir/compile_commands.json" ] || {
    echo "lint.sh: no $build_dir/compile_commands.json: run scripts/build.sh" >&2
    exit 1
}

extra=()
if [ $# -gt 0 ]; then
    formatted=("$@")
    compiled=("$@")
else
    mapfile -t formatted < <(git ls-files '*.c' '*.h')
    # what is compiled, without cJSON, which is Debian's
    mapfile -t compiled < <(jq -r '.[].file' "$build_dir/compile_commands.json" | sort -u |
        grep "^$PWD/" | grep -v "^$PWD/build")
    # warnings are the compiler's to tell: clang counts other things than gcc
    extra=('--checks=-clang-analyzer-*' --extra-arg=-Wno-error)
fi

echo "clang-format: ${#formatted[@]} files"
clang-format --dry-run -Werror "${formatted[@]}" || failed=1

echo "clang-tidy: ${#compiled[@]} files"
log=$(mktemp)
once=$(mktemp -d)
trap 'rm -rf "$log" "$once"' EXIT
# a source of several programs is looked at once, as the product's own has it (not as test/programs)
jq 'group_by(.file) | map(sort_by(.command | test("test/programs/")) | .[0])' \
    "$build_dir/compile_commands.json" >"$once/compile_commands.json"
printf '%s\0' "${compiled[@]}" |
    xargs -0 -P "$(nproc)" -n 4 clang-tidy -p "$once" --quiet "${extra[@]}" >"$log" 2>&1 || failed=1
grep -vE '^[0-9]+ warnings? generated\.$|^Suppressed|^Use -header-filter' "$log" || true

if command -v shellcheck >/dev/null; then
    mapfile -t shell < <(git ls-files '*.sh' .ci/run)
    echo "shellcheck: ${#shell[@]} files"
    shellcheck -x --severity=warning "${shell[@]}" || failed=1
elif [ "${CI:-}" = true ]; then
    echo "lint.sh: no shellcheck here: run scripts/deps.sh (as root)" >&2
    failed=1
fi

if [ "$failed" -ne 0 ]; then
    echo "lint.sh: see above" >&2
    exit 1
fi
