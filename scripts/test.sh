#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Everything that must hold: install what is missing, build, lint, and all tests (unit tests with
# ASan and UBSan). As root on Debian 12. The last line is "N passed, N failed, N skipped".
# With CI=true a skipped test is a failure. --no-deps and --no-lint leave out those steps.
set -euo pipefail

cd "$(dirname "$0")/.."
deps=yes
lint=yes
for argument in "$@"; do
    case $argument in
        --no-deps) deps= ;;
        --no-lint) lint= ;;
        *)
            echo "test.sh: $argument is neither --no-deps nor --no-lint" >&2
            exit 2
            ;;
    esac
done

cores=$(nproc)
passed=0
failed=0
skipped=0
failures=()

step() {
    printf '\n== %s (%d s)\n' "$1" "$SECONDS"
}

# Names of the test cases in a report of ctest whose status is one of those given.
cases() {
    python3 - "$@" <<'PY'
import sys
import xml.etree.ElementTree as tree
for case in tree.parse(sys.argv[1]).getroot().iter("testcase"):
    if case.get("status") in sys.argv[2:]:
        print(case.get("name"))
PY
}

# run_tests BUILD_DIR JOBS CTEST_ARGUMENT...: adds to the counts; never fails by itself.
run_tests() {
    local build=$1 jobs=$2 report=$1/report.xml
    local -a list
    shift 2
    rm -f "$report"
    ctest --test-dir "$build" -j "$jobs" --output-on-failure --output-junit report.xml "$@" || true
    if [ ! -s "$report" ]; then
        failed=$((failed + 1))
        failures+=("ctest in $build made no report")
        return
    fi
    mapfile -t list < <(cases "$report" run)
    passed=$((passed + ${#list[@]}))
    mapfile -t list < <(cases "$report" fail)
    failed=$((failed + ${#list[@]}))
    failures+=("${list[@]/#/failed: $build: }")
    mapfile -t list < <(cases "$report" notrun disabled)
    skipped=$((skipped + ${#list[@]}))
    [ "${CI:-}" != true ] || failures+=("${list[@]/#/skipped, which CI does not allow: $build: }")
}

if [ -n "$deps" ]; then
    step "dependencies"
    scripts/deps.sh
fi
step "build"
scripts/build.sh
step "build with sanitizers"
BUILD_DIR=build/asan scripts/build.sh -DFENCE_SANITIZE=ON
if [ -n "$lint" ]; then
    step "lint"
    scripts/lint.sh || failures+=("lint")
fi
step "unit tests with sanitizers"
run_tests build/asan "$cores" -L unit
step "unit, bpf and kernel tests"
run_tests build "$cores" -LE e2e
# more of them than cores: they wait most of the time
step "end-to-end tests"
run_tests build $((cores + 1)) -L e2e

step "summary"
if [ ${#failures[@]} -gt 0 ]; then
    printf '%s\n' "${failures[@]}"
fi
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ ${#failures[@]} -eq 0 ]
