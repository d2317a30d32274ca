#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Everything that must hold: install what is missing, build, lint, and all tests (unit tests with
# ASan and UBSan). As root on Debian 12. The last line is "N passed, N failed, N skipped".
# With CI=true a skipped test is a failure. --no-deps and --no-lint leave out those steps,
# --tests REGEX all tests but those whose names match. --all: also those that have the label long,
# which show on one topology or attachment what another test shows on the other, and which CI, that has
# 25 minutes, leaves out.
#
# Lint takes what the tests leave of the processors, and is shown when they have ended.
set -euo pipefail

cd "$(dirname "$0")/.."
deps=yes
lint=yes
left_out='unit|long'
tests=()
while [ $# -gt 0 ]; do
    case $1 in
        --no-deps) deps= ;;
        --no-lint) lint= ;;
        --all) left_out=unit ;;
        --tests)
            [ $# -gt 1 ] || {
                echo "test.sh: --tests needs a regular expression" >&2
                exit 2
            }
            tests=(-R "$2")
            shift
            ;;
        *)
            echo "test.sh: $1 is none of --no-deps, --no-lint, --all, --tests REGEX" >&2
            exit 2
            ;;
    esac
    shift
done

cores=$(nproc)
passed=0
failed=0
skipped=0
failures=()
lint_pid=
lint_log=$(mktemp)

descendants() {
    local pid
    for pid in $(pgrep -P "$1"); do
        echo "$pid"
        descendants "$pid"
    done
}

# However this ends, no child goes on.
leave() {
    local status=$?
    local -a left
    trap - EXIT
    mapfile -t left < <(descendants $$)
    kill -TERM "${left[@]}" 2>/dev/null || true
    rm -f "$lint_log"
    exit "$status"
}
trap leave EXIT

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
    setpriv --pdeathsig TERM ctest --test-dir "$build" -j "$jobs" --output-on-failure --output-junit report.xml "$@" "${tests[@]}" || true
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

# Tests wait most of the time, and some measure how long something takes: only what they leave is taken
# (SCHED_IDLE). As root in a process namespace, all of which the kernel ends when this script is killed.
lint_start() {
    local -a how=(setpriv --pdeathsig KILL)
    [ "$(id -u)" -ne 0 ] || how+=(unshare --pid --fork --kill-child --mount-proc)
    "${how[@]}" chrt --idle 0 scripts/lint.sh >"$lint_log" 2>&1 </dev/null &
    lint_pid=$!
}

lint_end() {
    local status=0
    wait "$lint_pid" || status=$?
    cat "$lint_log"
    [ "$status" -eq 0 ] || failures+=("lint: exit status $status")
}

if [ -n "$deps" ]; then
    step "dependencies"
    scripts/deps.sh
fi
step "build"
scripts/build.sh
step "build with sanitizers"
BUILD_DIR=build/asan BUILD_TARGETS=unit-tests scripts/build.sh -DFENCE_SANITIZE=ON
[ -z "$lint" ] || lint_start
step "unit tests with sanitizers"
run_tests build/asan "$cores" -L unit
# more of them than cores: they wait most of the time; unit tests have been run
step "bpf, kernel and end-to-end tests"
run_tests build $((cores + 1)) -LE "$left_out"
if [ -n "$lint" ]; then
    step "lint"
    lint_end
fi

step "summary"
if [ ${#failures[@]} -gt 0 ]; then
    printf '%s\n' "${failures[@]}"
fi
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ ${#failures[@]} -eq 0 ]
