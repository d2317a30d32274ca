#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# churn.sh [PODS [third]]: pods come and go through ptp and podfence while others talk, and podfenced is
# killed ten times at random (FENCE_SEED says where). No unlawful connection is let in, no lawful one is
# lost, nothing is left in the end, and the daemon has not grown. third: a third of them without DEL.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/lab.sh"
lab_enter "$@"

size=${1:-300}
without_del=${2:-no}
seed=${FENCE_SEED:-$RANDOM}
# kB: the names in the latest 4,096 events, and what is usual for at most 256 workloads, grow up to their bounds,
# and an allocator keeps some of what it once had. Measured 730 with 400 pods; a leak of 3 kB a pod is seen with 1,000.
growth=2560

# Entries of each map that pods are in, without connections, which the residents have too.
entries() {
    local map
    for map in endpoints endpoint_info locals addresses prefixes policies fragments; do
        printf '%s=%s ' "$map" "$(lab_map_count "$map")"
    done
}

entries_are() {
    [ "$(entries)" = "$1" ]
}

lab_chain ptp '{"startMode": "hold", "holdTimeoutMs": 5000}'
mkdir "$LAB/churn-objects"
lab_object policies <"$LAB_SOURCE/test/e2e/data/shop.yaml"
lab_swap
lab_daemon_start --attach auto --objects "$LAB/churn-objects"
lab_pods_add web api db cache
jq -n --arg dir "$LAB/churn-ipam" --argjson entry "$(jq '.plugins[] | select(.type == "podfence")' "$LAB/chain.conflist")" '{
    cniVersion: "1.0.0", name: "churn", plugins: [
        {type: "ptp", mtu: 1450, ipam: {type: "host-local", dataDir: $dir,
            ranges: [[{subnet: "10.89.0.0/16"}]], routes: [{dst: "0.0.0.0/0"}]}},
        $entry]}' >"$LAB/churn.conflist"
before=$(entries)
# what a daemon leaves that is killed while it removes the endpoint of a pod without DEL: the info of interface 99999
# shellcheck disable=SC2046 # a list of bytes
bpftool map update pinned "$LAB_BPFFS/$LAB_LAYOUT/maps/endpoint_info" key 0x9f 0x86 0x01 0x00 \
    value $(bpftool -j map dump pinned "$LAB_BPFFS/$LAB_LAYOUT/maps/endpoint_info" | jq -r '.[0].value | join(" ")')
LAB_GAP=1500
lab_stream tcp4 web api tcp 8080 4
lab_stream tcp6 web api tcp 8080 6
lab_stream udp4 web api udp 5353 4
lab_stream tcp-db api db tcp 5432 6
lab_daemon_stop

lab_say "$size pods, seed $seed, without DEL: $without_del"
status=0
"$LAB_SOURCE/test/e2e/churn.py" --size "$size" --without-del "$without_del" --seed "$seed" \
    --conf "$LAB/churn.conflist" --cni-path "$LAB_CNI_DIR:$LAB_BIN" --objects "$LAB/churn-objects" \
    --netprobe "$LAB_TOOLS/netprobe" --ctl "$LAB_BIN/podfencectl --bpffs $LAB_BPFFS --socket $LAB_SOCKET" \
    --db "${LAB_POD_IP4[db]}" --residents 4 --growth "$growth" --log "$LAB/daemon.log" -- \
    "$LAB_BIN/podfenced" --bpffs "$LAB_BPFFS" --socket "$LAB_SOCKET" --objects "$LAB/objects" \
    --objects "$LAB/churn-objects" --state "$LAB/state" --node-name lab-node --attach auto || status=$?
[ "$status" -eq 0 ] || lab_fail "see above; seed $seed"
for stream in tcp4 tcp6 udp4 tcp-db; do
    lab_stream_stop "$stream"
    expect_equal "cuts of stream $stream" "$(grep -E '^(cut|lost)' "$LAB/out/$stream" || true)" ""
done
for ((i = 0; i < 200; i++)); do # the daemon's sweep is every ten seconds
    entries_are "$before" && break
    sleep 0.1
done
expect_equal "entries of the maps" "$(entries)" "$before"
# the daemon is not this shell's child
pid=$(cat "$LAB/daemon.log.pid")
kill -TERM "$pid"
eventually "podfenced ends" 10 eval '! kill -0 "$pid"'
lab_daemon_start --attach auto --objects "$LAB/churn-objects"
lab_end
