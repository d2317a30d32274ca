#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# address-publish.sh: three daemons with --address-slices and the rights of install.yaml, and an API server
# whose pods nobody else writes into slices: what one of them publishes all of them know, whoever
# publishes it. How long it takes for 3,000 pods, and what a pod's life costs in writes.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/lab.sh"
lab_enter "$@"

api=$LAB/api
slices=/apis/podfence.io/v1alpha1/addressslices
declare -A daemons=()
declare -A ports=([one]=9471 [two]=9472 [three]=9473)

api() {
    "$LAB_SOURCE/test/e2e/apiserver.py" "$1" "$api" "${@:2}"
}

daemon_start() {
    mkdir -p "$LAB/$1"
    lab_background node "$1" "$LAB_BIN/podfenced" --bpffs "$LAB/bpf/$1" --socket "$LAB/$1/socket" \
        --state "$LAB/$1/state" --node-name "$1" --kubeconfig "$api/kubeconfig" --address-slices \
        --metrics "127.0.0.1:${ports[$1]}"
    daemons[$1]=$LAB_PID
}

status_of() {
    "$LAB_BIN/podfencectl" --bpffs "$LAB/bpf/$1" --socket "$LAB/$1/socket" status -o json | jq -c "$2"
}

status_is() {
    [ "$(status_of "$1" "$2")" = "$3" ] || { sleep 0.1 && false; }
}

# metric_of DAEMON METRIC
metric_of() {
    METRICS_PORT=${ports[$1]} lab_in node /usr/bin/python3 "$LAB_SOURCE/test/e2e/metrics_client.py" get /metrics |
        sed -n "s/^$2 //p"
}

metric_is() {
    [ "$(metric_of "$1" "$2")" = "$3" ] || { sleep 0.1 && false; }
}

# pods FROM TO [LABEL]: each on one of 50 nodes, with an address of its own
pods() {
    jq -n --argjson from "$1" --argjson to "$2" --arg app "${3:-web}" '{apiVersion: "v1", kind: "List", items:
        [range($from; $to) | {apiVersion: "v1", kind: "Pod", metadata: {name: "p\(.)", namespace: "shop", labels: {app: $app, set: "\(. % 40)"}},
         spec: {nodeName: "far-\(. % 50)", containers: [{name: "c", ports: [{name: "http", containerPort: 8080}]}]},
         status: {phase: "Running", podIP: "10.9.\((. / 250) | floor).\(. % 250 + 1)"}}]}' |
        api control POST /objects - >/dev/null
}

# "shop/p1 10.9.0.2 web" of each, from slices and from the pods themselves
published() {
    api get "$slices" | jq -r '.items[] | .groups // [] | .[] | . as $group | .pods[] | "\($group.namespace)/\(.name) \(.ips[0]) \($group.labels.app)"' | sort
}
really() {
    api get /api/v1/pods | jq -r '.items[] | "\(.metadata.namespace)/\(.metadata.name) \(.status.podIP) \(.metadata.labels.app)"' | sort
}
all_published() {
    sleep 0.3
    [ "$(published)" = "$(really)" ]
}

holder() {
    api get /apis/coordination.k8s.io/v1/namespaces/podfence/leases/podfence | jq -r .spec.holderIdentity
}

# Until each of these daemons knows so many pods.
know() {
    local count=$1 name
    shift
    for name in "$@"; do
        eventually "$name knows $count pods" 60 status_is "$name" .objects.Pod "$count"
    done
}

mkdir -p "$LAB/objects" "$api"
lab_chain bridge
lab_background node apiserver "$LAB_TOOLS/test-apiserver" --folder "$api" --listen 127.0.0.1:6443
api_pid=$LAB_PID
eventually "the API server serves" 20 test -s "$api/control"
api rights "$LAB_SOURCE/conf/install.yaml" >/dev/null
for name in shop podfence; do
    api control POST /objects "{\"apiVersion\": \"v1\", \"kind\": \"Namespace\", \"metadata\": {\"name\": \"$name\"}}" >/dev/null
done
pods 0 100

lab_say "three daemons: one publishes, all know, and are ready"
for name in one two three; do
    daemon_start "$name"
done
for name in one two three; do
    eventually "$name is ready" 30 status_is "$name" .ready true
done
know 100 one two three
expect_equal "what is published" "$(published)" "$(really)"
expect_equal "who publishes" "$(for name in one two three; do status_of "$name" .addressSlices.publishes; done | sort | uniq -c | xargs)" "2 false 1 true"

lab_say "pods come, change and go"
api control DELETE /counters >/dev/null
begun=$(date +%s%N)
pods 100 3000
know 3000 one two three
lab_say "2,900 pods: known to all daemons after $((($(date +%s%N) - begun) / 1000000)) ms"
all_writes() { api control GET /counters | jq "[to_entries[] | select(.key | test(\"^(create|update|delete) $slices\")) | .value.$1] | add"; }
lab_say "$(all_writes requests) writes of slices"
pods 50 60 api
eventually "relabelled" 20 all_published
for i in 70 71 72; do
    api control POST /objects "$(jq -n --arg name "p$i" '{apiVersion: "v1", kind: "Pod", metadata: {name: $name, namespace: "shop"},
        spec: {nodeName: "far-1"}, status: {phase: "Succeeded"}}')" >/dev/null
done
know 2997 one two three # those that are over have no place in slices
over_have_left() { published >"$LAB/out/published" && ! grep -qE "^shop/p7[012] " "$LAB/out/published"; }
eventually "what is over has left" 20 over_have_left

lab_say "who publishes is killed: another one does"
first=$(holder)
kill -KILL "${daemons[$first]}"
wait "${daemons[$first]}" 2>/dev/null || true
rest=()
for name in one two three; do
    [ "$name" = "$first" ] || rest+=("$name")
done
api control DELETE /counters >/dev/null
begun=$(date +%s%N)
pods 3000 3010
know 3007 "${rest[@]}"
lab_say "$first is dead, $(holder) publishes: ten new pods are known after $((($(date +%s%N) - begun) / 1000000)) ms"
lab_say "and it wrote $(all_writes requests) slices"
[ "$(all_writes requests)" -lt 20 ] || lab_fail "what was right was written again"

lab_say "the one that publishes ends in order: the next need not wait"
second=$(holder)
kill -TERM "${daemons[$second]}"
wait "${daemons[$second]}" || lab_fail "$second did not end well"
third=${rest[0]}
[ "$third" = "$second" ] && third=${rest[1]}
eventually "$third publishes" 20 status_is "$third" .addressSlices.publishes true
eventually "all is right, and it says so" 20 status_is "$third" '[.addressSlices.pending, .addressSlices.complete, .addressSlices.problem]' '[0,true,""]'
eventually "metrics tell of it" 20 metric_is "$third" 'podfence_kubernetes_slice_entries{kind="pods"}' 3007
eventually "no slice is pending" 5 metric_is "$third" 'podfence_kubernetes_slices{state="pending"}' 0
expect_equal "slices" "$(($(metric_of "$third" 'podfence_kubernetes_slices{state="written"}') > 3007 / 16))" 1
expect_equal "left out" "$(metric_of "$third" 'podfence_kubernetes_slice_entries{kind="left-out"}')" 0
begun=$(date +%s%N)
pods 3010 3020
know 3017 "$third"
lab_say "ten more are known after $((($(date +%s%N) - begun) / 1000000)) ms"
eventually "all is published" 20 eval 'diff <(published) <(really | grep -v "^shop/p7[012] ")'

wrote_slices() { # the text of metrics may be a second old
    [ "$(metric_of "$third" 'podfence_kubernetes_writes_total{what="slices"}')" -gt 0 ] &&
        [ "$(metric_of "$third" podfence_kubernetes_slices_written_bytes_total)" -gt 1000 ]
}
eventually "metrics tell of writes" 5 wrote_slices
kill -TERM "${daemons[$third]}"
wait "${daemons[$third]}" || lab_fail "$third did not end well"
kill "$api_pid"
wait "$api_pid" 2>/dev/null || true
lab_end
