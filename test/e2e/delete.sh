#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# delete.sh tcx|clsact: DEL leaves nothing and never fails, whatever has gone before it; CHECK
# notices what is missing; GC and the daemon remove what nobody deleted; STATUS.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/lab.sh"
lab_enter "$@"

attach=$1

podfence() {
    local verb=$1 pod=$2
    shift 2
    lab_cni "$verb" "$pod" --only podfence "$@"
}

# del WHAT POD [OPTION...]: podfence's DEL alone, which must succeed in silence.
del() {
    local what=$1 out
    shift
    out=$(podfence del "$@") || lab_fail "DEL $what: $out"
}

# gone POD HOST_VETH: no trace of it in maps, pins and filters.
gone() {
    expect_equal "endpoints of $1" "$(lab_ctl endpoints -o json | jq "[.endpoints[] | select(.pod == \"$1\")] | length")" 0
    [ ! -e "/sys/class/net/$2" ] || expect_equal "filters left" "$(lab_filters "$2")" "0 0 0 0"
}

endpoints_are() {
    [ "$(lab_ctl endpoints -o json | jq -r '.endpoints[].pod')" = "$1" ]
}

check_fails() {
    local out
    if out=$(podfence check "$1"); then
        lab_fail "CHECK is content although $2"
    fi
    expect_match "CHECK, although $2" "$out" '"code"'
}

# A new pod in $pod with its host veth in $veth.
new_pod() {
    pod=$1
    lab_pod_add "$pod" app=web
    veth=$(lab_host_veth "$pod")
}

lab_chain ptp
lab_swap
lab_daemon_start --attach "$attach"

lab_say "DEL: once, twice, before ADD, of another container"
new_pod a
lab_try node "tcp,${LAB_POD_IP4[a]},80" >/dev/null
[ "$(lab_map_count connections)" -gt 0 ] || lab_fail "no connection entry to delete"
del once a
gone a "$veth"
lab_maps_empty
del twice a
del "of nobody" a --id "$(printf 'f%.0s' {1..64})"
lab_pod_del a

lab_say "ADD twice is one endpoint"
new_pod a
podfence add a >"$LAB/out/again" || lab_fail "second ADD: $(cat "$LAB/out/again")"
expect_equal "endpoints" "$(lab_map_count endpoints)" 1
podfence check a >"$LAB/out/check" || lab_fail "CHECK: $(cat "$LAB/out/check")"

lab_say "a late DEL of the old sandbox leaves the new one's state"
del "of the old sandbox" a --id "$(printf 'e%.0s' {1..64})"
podfence check a >"$LAB/out/check" || lab_fail "CHECK: $(cat "$LAB/out/check")"
del "of another interface" a --ifname net1
podfence check a >"$LAB/out/check" || lab_fail "CHECK: $(cat "$LAB/out/check")"

lab_say "CHECK notices what is missing"
kill -STOP "$LAB_DAEMON_PID" # does not answer, and must not be needed
podfence check a >"$LAB/out/check" || lab_fail "CHECK: $(cat "$LAB/out/check")"
index=$(lab_ifindex "$veth")
if [ "$attach" = tcx ]; then
    rm "$LAB_BPFFS/$LAB_LAYOUT/links/$index-from_pod"
else
    tc filter del dev "$veth" ingress
fi
check_fails a "the filter from the pod is gone"
podfence add a >"$LAB/out/again" || lab_fail "ADD again: $(cat "$LAB/out/again")"
podfence check a >"$LAB/out/check" || lab_fail "CHECK after ADD again: $(cat "$LAB/out/check")"
bpftool map delete pinned "$LAB_BPFFS/$LAB_LAYOUT/maps/endpoints" key \
    "$((index & 255))" "$((index >> 8 & 255))" 0 0
check_fails a "its entry in the map endpoints is gone"
kill -CONT "$LAB_DAEMON_PID"
lab_pod_del a
lab_maps_empty

lab_say "DEL when the namespace has gone, without its path, without a daemon"
new_pod b
kill "${LAB_POD_SERVER[b]}"
kill -STOP "$LAB_DAEMON_PID" # or it would tidy up first
ip netns del b
lab_cni del b >"$LAB/out/b" || lab_fail "DEL after the namespace: $(cat "$LAB/out/b")"
lab_maps_empty
kill -CONT "$LAB_DAEMON_PID"
lab_pod_forget b
new_pod c
lab_daemon_kill
del "without CNI_NETNS and daemon" c --netns ''
gone c "$veth"
lab_maps_empty
lab_daemon_start --attach "$attach"
lab_pod_del c

lab_say "GC removes what is not valid, and nothing without a list"
new_pod d
new_pod e
jq '.cniVersion = "1.1.0"' "$LAB/chain.conflist" >"$LAB/new" && mv "$LAB/new" "$LAB/chain.conflist"
podfence gc d >"$LAB/out/gc" || lab_fail "GC: $(cat "$LAB/out/gc")"
expect_equal "endpoints after GC without a list" "$(lab_map_count endpoints)" 2
podfence gc d --valid "${LAB_POD_ID[d]}/eth0" >"$LAB/out/gc" || lab_fail "GC: $(cat "$LAB/out/gc")"
expect_equal "pods after GC" "$(lab_ctl endpoints -o json | jq -r '.endpoints[].pod')" d
gone e "$veth"
jq '.name = "other"' "$LAB/chain.conflist" >"$LAB/other.conflist"
"$LAB_SOURCE/test/e2e/runtime.py" gc --conf "$LAB/other.conflist" --cache "$LAB/cache" \
    --cni-path "$LAB_BIN" --only podfence --valid '' >"$LAB/out/gc" || lab_fail "GC: $(cat "$LAB/out/gc")"
expect_equal "pods after GC of another network" "$(lab_ctl endpoints -o json | jq -r '.endpoints[].pod')" d

lab_say "STATUS"
podfence status d 2>"$LAB/out/status.err" || lab_fail "STATUS with the daemon"
lab_daemon_kill
podfence status d 2>"$LAB/out/status.err" || lab_fail "STATUS without the daemon must be 0"
expect_match "warning of STATUS" "$(cat "$LAB/out/status.err")" 'podfenced|daemon'
mv "$LAB_BPFFS/$LAB_LAYOUT/maps/policies" "$LAB_BPFFS/$LAB_LAYOUT/maps/moved"
if out=$(podfence status d); then
    lab_fail "STATUS is content with a map missing"
fi
expect_match "STATUS with a map missing" "$out" '"code": 5[01]'
mv "$LAB_BPFFS/$LAB_LAYOUT/maps/moved" "$LAB_BPFFS/$LAB_LAYOUT/maps/policies"
lab_daemon_start --attach "$attach"
jq '.cniVersion = "1.0.0"' "$LAB/chain.conflist" >"$LAB/new" && mv "$LAB/new" "$LAB/chain.conflist"
lab_pod_del d
lab_pod_del e

lab_say "a pod that vanished without DEL is tidied up by the daemon"
new_pod g
new_pod f
lab_pod_forget f
eventually "the endpoint of f goes" 15 endpoints_are g
gone f "$veth"
lab_end
