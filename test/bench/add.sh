#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# add.sh [--quick] [--check] [--json FILE]: what podfence adds to ADD and DEL of bridge -> portmap,
# alone and 20 at the same time, for bench.sh add. Every round has every configuration.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/../e2e/lab.sh"
lab_enter "$@"

rounds=11
count=20
alone=5
report=()
while [ $# -gt 0 ]; do
    case $1 in
        --quick) rounds=3 ;;
        --check) report+=(--check) ;;
        --json)
            report+=(--json "$2")
            shift
            ;;
    esac
    shift
done
samples=$LAB/samples
pods=()
# whatever else the machine does
renice -n -20 -p $$ >/dev/null

# conflist NAME [JSON]
conflist() {
    lab_chain bridge "${2:-"{}"}"
    mv "$LAB/chain.conflist" "$LAB/$1.conflist"
}

add() {
    "$LAB_SOURCE/test/bench/add.py" --samples "$samples" "$@"
}

measure() {
    add run --plugins "$LAB_BIN" --alone "$alone" "$1" "$LAB/$2.conflist" "${pods[@]}"
}

LAB_CNI_DIR=/usr/lib/cni
conflist closed '{"startMode": "closed"}'
conflist hold '{"startMode": "hold", "holdTimeoutMs": 10000}'
jq 'del(.plugins[] | select(.type == "podfence"))' "$LAB/closed.conflist" >"$LAB/without.conflist"
lab_object policies <"$LAB_SOURCE/test/e2e/data/shop.yaml"
apps=(web api db cache)
for ((i = 0; i < count; i++)); do
    pod=pod$i
    pods+=("$pod")
    ip netns add "$pod"
    lab_impatient "$pod"
    LAB_POD_NODE[$pod]=node LAB_POD_UID[$pod]=$(cat /proc/sys/kernel/random/uuid)
    lab_pod_object "$pod" "app=${apps[i % 4]}"
done
lab_swap
ip link add idle0 type veth peer name idle1
for ((round = 0; round < rounds; round++)); do
    measure without without
    for mode in auto tcx clsact; do
        lab_daemon_start --attach "$mode"
        measure "$mode closed" closed
        measure "$mode hold" hold
        lab_daemon_stop
    done
    "$LAB_TOOLS/bench-add-attach" "$LAB_BPFFS" idle0 5 >>"$samples"
    [ -t 1 ] || printf 'round %d of %d\n' $((round + 1)) "$rounds" >&2
done
add report "${report[@]}"
