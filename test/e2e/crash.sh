#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# crash.sh: podfence and podfenced are killed at every fail point (lib/base/failpoint.h) while pods talk: loading,
# ADD, DEL, applying a change, replacing the programs, writing the state. What is in force stays so, and whoever
# comes next goes on and leaves nothing behind. What belongs to another layout is upgrade.sh's.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/lab.sh"
# shellcheck source=test/e2e/lab-watch.sh
source "$LAB_SOURCE/test/e2e/lab-watch.sh"
lab_enter "$@"

data=$LAB_SOURCE/test/e2e/data
released=$LAB_BIN
LAB_BIN=$LAB_BUILD/test/failpoints
[ -x "$LAB_BIN/podfenced" ] || lab_fail "no $LAB_BIN/podfenced: run scripts/build.sh"
export LAB_GAP=1000
mapfile -t points < <({
    FENCE_FAILPOINT=list "$LAB_BIN/podfence"
    FENCE_FAILPOINT=list "$LAB_BIN/podfenced"
} | sort -u)
declare -A tested=()

# die_start POINT[:COUNT] [OPTION...]
die_start() {
    tested[${1%:*}]=1
    lab_daemon_dies "$@"
}

# die_cni VERB POINT[:COUNT]: the plugin alone, on the victim.
die_cni() {
    tested[${2%:*}]=1
    if FENCE_FAILPOINT=$2 lab_cni "$1" victim --only podfence >"$LAB/out/victim" 2>&1; then
        lab_fail "$1 was not killed at $2"
    fi
    expect_equal "how $1 ended at $2" "$(jq .exit "$LAB/out/victim")" -9
}

cni() {
    lab_cni "$1" victim --only podfence >"$LAB/out/victim" 2>&1 || lab_fail "$1 after $2: $(cat "$LAB/out/victim")"
}

status_code() {
    lab_entry '{"cniVersion": "1.1.0", "name": "cbr0"}' |
        { CNI_COMMAND=STATUS CNI_PATH=$LAB_BIN "$LAB_BIN/podfence" 2>/dev/null || true; } | jq .code
}

# What there is of endpoints and filters, whoever they are of.
inventory() {
    local map
    for map in endpoints endpoint_info locals; do
        printf '%s: %s, ' "$map" "$(bpftool map dump pinned "$LAB_BPFFS/$LAB_LAYOUT/maps/$map" | tail -n 1)"
    done
    # shellcheck disable=SC2012 # names of ours
    printf 'links: %s, filters: %s' "$(ls "$LAB_BPFFS/$LAB_LAYOUT/links" | wc -l)" "$(lab_filters "$victim_veth")"
}

# As if it had been neither added nor begun to be.
victim_is_gone() {
    expect_equal "what is left ($1)" "$(inventory)" "$before"
}

# An intruder or closed, never more; the others as ever.
victim_is_held() {
    LAB_TIMEOUT_MS=60 lab_expect <<'TABLE' >/dev/null
victim > db tcp 5432 deny
api > db tcp 5432 ok
TABLE
    lab_watch_check "$1"
}

# change N: a policy, its rules and blocks, and a pod elsewhere with labels of its own, each time other ones.
change() {
    lab_object change <<YAML
apiVersion: v1
kind: Pod
metadata: { name: elsewhere-$1, namespace: shop, uid: elsewhere-$1, labels: { app: elsewhere, change: "$1" } }
spec: { nodeName: other }
status: { phase: Running, podIP: 10.99.0.$1, podIPs: [ { ip: 10.99.0.$1 } ] }
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: change-$1, namespace: shop }
spec:
  podSelector: { matchExpressions: [ { key: app, operator: In, values: [ db, api ] } ] }
  ingress:
    - from:
        - podSelector: { matchLabels: { change: "$1" } }
        - ipBlock: { cidr: 198.51.100.$1/32 }
      ports: [ { protocol: TCP, port: $((1000 + $1)) } ]
YAML
    lab_swap
}

change_is_in_force() {
    lab_has "shop/change-$1\"" policies -o json
}

# ---- loading -------------------------------------------------------------------------------------

lab_chain bridge
lab_object policies <"$data/shop.yaml"
lab_swap
lab_say "killed while it loads for the first time: to the plugin nothing is loaded, or everything"
for point in load.pinned-aside load.pinned load.pinned:12 load.pinned-aside:18 load.settings-written load.whole; do
    die_start "$point"
    if [ "$point" = load.whole ]; then
        expect_equal "STATUS after $point" "$(status_code)" ""
    else
        expect_equal "STATUS after $point" "$(status_code)" 50
    fi
done
die_start file.written-aside
die_start file.renamed
lab_daemon_start --attach tcx
lab_pods_add web api db intruder victim
victim_veth=$(lab_host_veth victim)
lab_expect <"$data/shop.table"
lab_watch_begin

# ---- ADD and DEL ---------------------------------------------------------------------------------

lab_say "ADD and DEL killed at each step, with TCX"
cni del "ADD by the chain"
before=$(inventory)
adds=(endpoint.info-written endpoint.written endpoint.addresses-written enrol.pending attach.tcx-linked
    attach.tcx-pinned attach.tcx-linked:2 attach.tcx-pinned:2 enrol.attached endpoint.info-written:2 enrol.done
    add.enrolled add.told)
dels=(remove.withdrawn remove.endpoint-gone detach.tcx-detached detach.tcx-detached:2 remove.detached
    remove.connections-gone del.removed)
pairs() {
    local i
    for i in "${!adds[@]}"; do
        die_cni add "${adds[i]}"
        [ $((i % 3)) -ne 0 ] || victim_is_held "ADD killed at ${adds[i]}"
        cni del "ADD killed at ${adds[i]}"
        victim_is_gone "ADD killed at ${adds[i]}, then DEL"
        [ -n "${dels[i]:-}" ] || continue
        cni add "ADD killed at ${adds[i]}, then DEL"
        die_cni del "${dels[i]}"
        victim_is_held "DEL killed at ${dels[i]}"
        cni del "DEL killed at ${dels[i]}"
        victim_is_gone "DEL killed at ${dels[i]}, then DEL"
    done
}
pairs

lab_say "the same with clsact"
lab_daemon_kill
lab_daemon_start --attach clsact
adds=(attach.clsact-qdisc attach.clsact-filter attach.clsact-filter:2 enrol.attached)
dels=(detach.clsact-filter detach.clsact-filter:2 remove.detached)
pairs
cni add "all of that"

# ---- the programs are replaced, then policy --------------------------------------------------------

lab_say "killed while the programs are replaced"
lab_daemon_kill
while read -r point structs; do
    die_start "$point" --kernel-structs "$structs"
    lab_watch_check "programs replaced, killed at $point"
done <<'POINTS'
load.pinned-aside off
load.pinned:3 off
refresh.tcx-link off
refresh.tcx-link:4 auto
refresh.clsact-filter off
refresh.clsact-filter:2 auto
load.whole auto
POINTS
lab_daemon_start
expect_equal "STATUS" "$(status_code)" ""
victim_is_held "programs replaced"

lab_say "killed while a change is applied, at start"
n=1
for point in apply.identities-done apply.classes-done apply.rules-done apply.entry-written apply.entry-written:7 \
    apply.batch-written apply.sets-done apply.peers-done apply.addresses-done apply.entry-deleted \
    apply.prefixes-done apply.endpoint-flipped apply.endpoint-flipped:2 apply.endpoints-done; do
    lab_daemon_kill
    change $((n += 1))
    die_start "$point"
    lab_watch_check "apply killed at $point"
    lab_daemon_start
    eventually "the change is in force after $point" 5 change_is_in_force "$n"
    lab_watch_check "apply killed at $point, then done"
done

lab_say "and while it follows a change"
for point in apply.entry-written apply.entry-written:9 apply.batch-written apply.endpoint-flipped; do
    lab_daemon_kill
    FENCE_FAILPOINT=$point lab_daemon_start
    lab_watch_check "before the change"
    change $((n += 1))
    status=0
    wait "$LAB_DAEMON_PID" 2>/dev/null || status=$?
    expect_equal "exit status of podfenced at $point" "$status" 137
    lab_watch_check "apply killed at $point"
    lab_daemon_start
    eventually "the change is in force after $point" 5 change_is_in_force "$n"
done
lab_object_remove change
lab_publish
lab_expect <"$data/shop.table"

# ---- nothing is left -----------------------------------------------------------------------------

lab_watch_end
expect_equal "unfinished files in the state folder" "$(find "$LAB/state" -name '*.tmp.*')" ""
for program in podfence podfenced podfencectl; do
    expect_equal "fail points in the released $program" \
        "$(grep -aoFf <(printf '%s\n' "${points[@]}") "$released/$program" || true)" ""
done
for point in "${points[@]}"; do
    if [[ $point = @(takeover|layout).* ]]; then
        grep -qF "$point" "$LAB_SOURCE/test/e2e/upgrade.sh" || lab_fail "$point is not in upgrade.sh"
    else
        [ -n "${tested[$point]:-}" ] || lab_fail "$point is not tested"
    fi
done
expect_equal "fail points in the source and not in the programs" "$(
    grep -rhoP 'FENCE_FAILPOINT\("\K[^"]+' "$LAB_SOURCE/lib" "$LAB_SOURCE/cni" | sort -u |
        grep -vxFf <(printf '%s\n' "${points[@]}") || true
)" ""
lab_end
