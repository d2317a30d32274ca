#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# contract.sh GROUP [ATTACH]: the plugin's side of the CNI contract, behaviour by behaviour
# (test/README.md has the table). The sub-tests of a group are in contract/GROUP.py.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/lab.sh"

recorded=$LAB_SOURCE/../shared/fixtures/cni
if [ "$1" = recorded ] && [ ! -d "$recorded" ]; then
    [ "${CI:-}" != true ] || {
        echo "no recorded calls in $recorded, which CI must have" >&2
        exit 1
    }
    lab_skip "no recorded calls in $recorded"
fi
lab_enter "$@"

lab_chain bridge
lab_swap
status=0
export LAB LAB_SOURCE LAB_BIN LAB_TOOLS LAB_CNI_DIR LAB_BPFFS LAB_LAYOUT LAB_SOCKET LAB_RECORDED=$recorded
python3 "$LAB_SOURCE/test/e2e/contract/main.py" "$@" || status=$?
[ "$status" -eq 0 ] || lab_fail "contract/main.py $* ended with $status"
lab_end
