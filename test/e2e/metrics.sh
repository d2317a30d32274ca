#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# /metrics, /healthz and /readyz of a real daemon: what the dashboard and the alerts ask for is there, and
# neither thousands of connections nor slow ones keep a probe or an ADD waiting.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/lab.sh"
command -v promtool >/dev/null || lab_skip "no promtool: run scripts/deps.sh"
lab_enter "$@"

get() {
    lab_in node /usr/bin/python3 "$LAB_SOURCE/test/e2e/metrics_client.py" get "$1"
}

metric() {
    get /metrics | sed -n "s/^$1 //p"
}

drops_counted() {
    get /metrics | awk '/^podfence_drops_total/ { drops += $2 } END { exit !drops }'
}

says_why() {
    grep -q "^503.*refused" <<<"$(get /readyz 2>&1 || true)"
}

lab_chain bridge
lab_object policies <"$LAB_SOURCE/test/e2e/data/shop.yaml"
lab_swap
lab_daemon_start --metrics 127.0.0.1:9464
lab_pods_add web api db
lab_expect <<'TABLE'
web > db tcp 5432 deny
api > db tcp 5432 ok
TABLE

lab_say "what is exposed"
expect_equal "/healthz" "$(get /healthz)" ok
expect_equal "/readyz" "$(get /readyz)" ready
expect_match "another path" "$(get /etc/passwd 2>&1 || true)" "^404"
sleep 1
get /metrics >"$LAB/metrics"
promtool check metrics <"$LAB/metrics" >"$LAB/out/promtool" 2>&1 || lab_fail "promtool: $(cat "$LAB/out/promtool")"
/usr/bin/python3 "$LAB_SOURCE/test/conf/metrics.py" "$LAB/metrics" >"$LAB/out/names" || lab_fail "$(cat "$LAB/out/names")"
expect_equal "no word of the cluster" "$(grep -cE 'shop|web|10\.88|db' "$LAB/metrics" || true)" 0
expect_equal "pods in force" "$(metric 'podfence_endpoints{state="enforced"}')" 3
eventually "drops are counted" 5 drops_counted

lab_say "not ready"
lab_object broken <<<'{apiVersion: podfence.io/v1alpha1, kind: SegmentPolicy, metadata: {name: x}, spec: {nonsense: 1}}'
lab_swap
eventually "/readyz says why" 5 says_why
expect_equal "/healthz" "$(get /healthz)" ok
lab_object_remove broken
lab_publish

lab_say "2,000 connections, and slow ones, while pods come"
lab_in node /usr/bin/python3 "$LAB_SOURCE/test/e2e/metrics_client.py" flood 2000 >"$LAB/out/flood" 2>&1 &
flood=$!
lab_in node /usr/bin/python3 "$LAB_SOURCE/test/e2e/metrics_client.py" slow 200 4 >"$LAB/out/slow" 2>&1 &
slow=$!
before=$(date +%s%N)
lab_pods_add cache
lab_say "objects, ADD and a server beside them: $((($(date +%s%N) - before) / 1000000)) ms"
for ((i = 0; i < 10; i++)); do
    expect_equal "/readyz beside them" "$(get /readyz)" ready
done
wait "$flood" || lab_fail "flood: $(cat "$LAB/out/flood")"
wait "$slow" || lab_fail "slow: $(cat "$LAB/out/slow")"
lab_say "$(cat "$LAB/out/flood")"
expect_equal "slow ones are cut off" "$(($(metric podfence_http_cut_off_total) > 0))" 1
expect_equal "descriptors are given back" "$(($(metric process_open_fds) < 150))" 1
lab_end
