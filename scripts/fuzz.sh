#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# fuzz.sh [alarm|cache|chain|cut|kube|objects|policy] [SECONDS]: build the fuzz targets with clang, and run one or all for so
# many seconds each (default 60). What was learned stays in build/fuzz/corpus; an input that fails
# is put into test/fuzz/regressions, where the tests run it from then on.
set -euo pipefail

cd "$(dirname "$0")/.."
targets=(alarm cache chain cut kube objects policy)
case ${1:-} in
    alarm | cache | chain | cut | kube | objects | policy) targets=("$1") && shift ;;
    -*) sed -n '3,5s/^# \{0,1\}//p' "$0" && exit 2 ;;
esac
seconds=${1:-60}

scripts/deps.sh
build=build/fuzz
CC=clang cmake -S . -B "$build" -G Ninja -DFENCE_FUZZ=ON -DFENCE_SANITIZE=ON -DFENCE_WERROR=OFF >/dev/null
ninja -C "$build" "${targets[@]/#/fuzz-}" >"$build/build.log" || {
    cat "$build/build.log"
    exit 1
}
for target in "${targets[@]}"; do
    mkdir -p "$build/corpus/$target" "test/fuzz/regressions/$target"
    echo "fuzz-$target for $seconds s"
    "$build/test/fuzz-$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=8192 \
        -print_final_stats=1 -artifact_prefix="test/fuzz/regressions/$target/" \
        "$build/corpus/$target" "test/fuzz/seeds/$target" 2>&1 | grep -E "^(==|SUMMARY|stat::|.*does not hold|Done|artifact)" || true
    [ -z "$(ls "test/fuzz/regressions/$target")" ] || echo "regressions: $(ls "test/fuzz/regressions/$target")"
done
