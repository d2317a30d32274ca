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

api=$LAB/api

api_control() {
    "$LAB_SOURCE/test/e2e/apiserver.py" control "$api" "$@" >/dev/null
}

is_ready() {
    [ "$(get /readyz)" = ready ]
}

metric_is() {
    [ "$(metric "$1")" = "$2" ]
}

lab_chain bridge
lab_object policies <"$LAB_SOURCE/test/e2e/data/shop.yaml"
lab_swap
lab_say "without --kubernetes nothing of it is exposed"
lab_daemon_start --metrics 127.0.0.1:9464
expect_equal "names" "$(get /metrics | grep -c podfence_kubernetes || true)" 0
lab_daemon_stop

mkdir "$api"
lab_background node apiserver "$LAB_TOOLS/test-apiserver" --folder "$api" --listen 127.0.0.1:6443
api_pid=$LAB_PID
eventually "the API server serves" 20 test -s "$api/control"
api_control POST /objects '{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "podfence"}}' # of the Lease
lab_daemon_start --metrics 127.0.0.1:9464 --kubeconfig "$api/kubeconfig"
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

lab_say "the API server: watched, refused, away"
for kind in Pod Namespace Node Service EndpointSlice NetworkPolicy ClusterNetworkPolicy SegmentPolicy ClusterSegmentPolicy ConfigMap; do
    for name in up listed 'phase}watching' lists_total watches_total events_total received_bytes_total failures_total silent_seconds; do
        label=${name#*\}}
        [ "$label" = "$name" ] && label= || label=",phase=\"$label\""
        expect_match "${name%\}*} of $kind" "$(metric "podfence_kubernetes_${name%\}*}{kind=\"$kind\"$label}")" '^[0-9.]+$'
    done
    expect_equal "$kind is up" "$(metric "podfence_kubernetes_up{kind=\"$kind\"}")" 1
    expect_equal "$kind is watched" "$(metric "podfence_kubernetes_phase{kind=\"$kind\",phase=\"watching\"}")" 1
done
expect_equal "other kinds" "$(get /metrics | grep -c '^podfence_kubernetes_up')" 10
expect_equal "connections" "$(($(metric podfence_kubernetes_connections) > 0))" 1
expect_equal "bytes" "$(($(metric 'podfence_kubernetes_received_bytes_total{kind="Pod"}') > 0))" 1
eventually "it writes for the cluster" 20 metric_is podfence_kubernetes_lease_held 1
eventually "its report is current" 20 metric_is 'podfence_kubernetes_report_nodes{state="current"}' 1
for what in reports statuses events slices; do
    expect_equal "$what can be written" "$(metric "podfence_kubernetes_writes_up{what=\"$what\"}")" 1
done
reports_are_counted() { [ "$(metric 'podfence_kubernetes_writes_total{what="reports"}')" -gt 0 ]; }
eventually "reports are counted" 5 reports_are_counted
expect_equal "none failed" "$(metric 'podfence_kubernetes_write_failures_total{what="reports"}')" 0
expect_equal "slices, which nobody asked for" "$(metric 'podfence_kubernetes_slices{state="written"}')" 0
api_control POST /rights '{"refuse": [{"verb": "*", "group": "", "resource": "pods"},
    {"verb": "*", "group": "podfence.io", "resource": "nodereports"},
    {"verb": "*", "group": "coordination.k8s.io", "resource": "leases"}]}'
api_control POST /watches '{"end": "cut", "group": "", "plural": "pods"}'
eventually "Pods are refused" 20 metric_is 'podfence_kubernetes_phase{kind="Pod",phase="refused"}' 1
api_control POST /objects '{"apiVersion": "podfence.io/v1alpha1", "kind": "SegmentPolicy", "metadata": {"name": "reported", "namespace": "shop"},
    "spec": {"mode": "Denylist", "appliesTo": {"podSelector": {"matchLabels": {"app": "none"}}}, "ingress": [{}]}}'
eventually "its report is refused" 20 metric_is 'podfence_kubernetes_writes_up{what="reports"}' 0
expect_equal "and counted" "$(($(metric 'podfence_kubernetes_write_failures_total{what="reports"}') > 0))" 1
expect_equal "statuses are not concerned" "$(metric 'podfence_kubernetes_writes_up{what="statuses"}')" 1
eventually "so is the Lease" 20 metric_is podfence_kubernetes_lease_up 0
expect_equal "Pods are up" "$(metric 'podfence_kubernetes_up{kind="Pod"}')" 0
expect_equal "they were listed" "$(metric 'podfence_kubernetes_listed{kind="Pod"}')" 1
expect_equal "Nodes are up" "$(metric 'podfence_kubernetes_up{kind="Node"}')" 1
expect_equal "failures" "$(($(metric 'podfence_kubernetes_failures_total{kind="Pod"}') > 0))" 1
api_control POST /rights '{"refuse": []}'
eventually "they are up again" 70 metric_is 'podfence_kubernetes_up{kind="Pod"}' 1
eventually "the report is taken" 70 metric_is 'podfence_kubernetes_writes_up{what="reports"}' 1
eventually "and the Lease" 20 metric_is podfence_kubernetes_lease_up 1
kill -KILL "$api_pid"
wait "$api_pid" 2>/dev/null || true
eventually "no kind is up" 10 metric_is 'podfence_kubernetes_up{kind="Node"}' 0
rm "$api/control"
lab_background node apiserver "$LAB_TOOLS/test-apiserver" --folder "$api" --listen 127.0.0.1:6443 --version 5000
eventually "the API server serves" 20 test -s "$api/control"
api_pid=$LAB_PID
eventually "it is ready again" 60 is_ready

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
kill "$api_pid"
wait "$api_pid" 2>/dev/null || true
lab_end
