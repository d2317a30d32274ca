#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# --attach auto: a pod starts by clsact filters and is moved to TCX when it has stayed, without a packet
# unjudged or lost and with CHECK content all the while. A pod with a limit, whose qdisc the bandwidth
# plugin makes behind podfence, has TCX from the start.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/lab.sh"
lab_enter "$@"

filters_are() {
    [ "$(lab_filters "$2")" = "$1" ]
}

# What nobody may reach, asked as fast as it goes until the file `moved` is there.
knock() {
    while [ ! -e "$LAB/out/moved" ]; do
        LAB_TIMEOUT_MS=100 lab_try web "tcp,${LAB_POD_IP4[db]},80" "tcp,${LAB_POD_IP6[db]},80"
    done >"$LAB/out/knock"
}

lab_chain ptp
lab_object policies <"$LAB_SOURCE/test/e2e/data/shop.yaml"
lab_swap
lab_daemon_start --attach auto
lab_pods_add web api db
veth=$(lab_host_veth db)
expect_equal "filters of db after ADD" "$(lab_filters "$veth")" "0 0 1 1"
lab_stream lawful api db tcp 5432
knock &
knocking=$!
checks=0
until filters_are "1 1 0 0" "$veth"; do
    [ "$SECONDS" -lt 60 ] || lab_fail "db has not been moved to TCX: $(lab_filters "$veth")"
    lab_cni check db --only podfence >"$LAB/out/check" || lab_fail "CHECK during the move: $(cat "$LAB/out/check")"
    checks=$((checks + 1))
done
lab_say "moved after $SECONDS s, and $checks times CHECK"
touch "$LAB/out/moved"
wait "$knocking"
expect_equal "outcomes of what is denied" "$(cut -d' ' -f1 "$LAB/out/knock" | sort -u)" timeout
lab_stream_stop lawful
expect_equal "cuts of the stream" "$(grep -cE '^(cut|lost)' "$LAB/out/lawful" || true)" 0
expect_equal "db's way" "$(lab_ctl endpoints -o json | jq -r '.endpoints[] | select(.pod == "db") | .attach')" tcx

lab_say "the bandwidth plugin behind podfence"
jq '.plugins += [{"type": "bandwidth", "capabilities": {"bandwidth": true}}]' "$LAB/chain.conflist" >"$LAB/chain.new"
mv "$LAB/chain.new" "$LAB/chain.conflist"
lab_pod_new cache
lab_pod_object cache app=cache
lab_publish
lab_pod_attach cache --capabilities '{"bandwidth": {"egressRate": 8000000, "egressBurst": 8000000}}' ||
    lab_fail "ADD of cache: $(cat "$LAB/out/cache")"
veth=$(lab_host_veth cache)
expect_match "filters of cache after ADD" "$(lab_filters "$veth")" "^1 1 "
expect_match "qdiscs of cache" "$(tc qdisc show dev "$veth")" "qdisc ingress ffff:"
lab_cni del cache --capabilities '{"bandwidth": {"egressRate": 8000000, "egressBurst": 8000000}}' >"$LAB/out/cache" ||
    lab_fail "DEL of cache: $(cat "$LAB/out/cache")"
lab_object_remove pod-cache
lab_pod_forget cache
jq 'del(.plugins[] | select(.type == "bandwidth"))' "$LAB/chain.conflist" >"$LAB/chain.new"
mv "$LAB/chain.new" "$LAB/chain.conflist"
lab_end
