#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# kubernetes.sh: objects from the Kubernetes API instead of a folder: pods and policies come, change
# and go there, and verdicts follow; how long that takes. The API server dies: what is in force stays,
# and what changed meanwhile is there when it is back. A folder that says otherwise does not count.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/lab.sh"
# shellcheck source=test/e2e/lab-api.sh
source "$(dirname "$0")/lab-api.sh"
lab_enter "$@"

data=$LAB_SOURCE/test/e2e/data
changes=${LAB_CHANGES:-20}

folder_swap() {
    cp "$LAB"/stage-folder/*.yaml "$LAB/objects/"
}

ready_is() {
    [ "$(lab_status .ready)" = "$1" ]
}

says() {
    lab_has "$1" status -o json
}

all_watched() {
    [ "$(lab_status '[.kubernetes.kinds[] | select(.phase != "watching")] | length')" = 0 ]
}

mkdir -p "$LAB/objects" "$LAB/stage-folder" "$api"
lab_chain bridge
lab_object policies <"$data/shop.yaml"

lab_say "no API server yet: not ready, and it says why"
api_start 1000
kill -KILL "$api_pid"
wait "$api_pid" 2>/dev/null || true
lab_daemon_start --kubeconfig "$api/kubeconfig"
eventually "not ready" 5 ready_is false
eventually "it says why" 5 says 'kubernetes: Pod: connecting to 127.0.0.1 port 6443: Connection refused'

lab_say "it comes: pods by ADD, policies through the API"
rm -f "$api/control"
api_start 2000
lab_swap
eventually "ready" 40 ready_is true
expect_equal "first lists in the log" "$(grep -c 'kubernetes: the first lists of Pod, Namespace, .*, ConfigMap are on their way' "$LAB/daemon.log")" 1
expect_equal "and their end" "$(grep -c 'kubernetes: all kinds are listed: .*[0-9] s"$' "$LAB/daemon.log")" 1
expect_equal "nothing else of them" "$(grep -c 'first list has not come\|first lists are on' "$LAB/daemon.log" || true)" 0
lab_pods_add web api db intruder
lab_expect <"$data/shop.table"

text_says() {
    lab_has "$1" status
}
eventually "the status in short" 10 text_says '^kubernetes:  watching 10 kinds over [1-9][0-9]* connections?, last heard [0-9]* s ago$'

lab_say "no policy left: all reach all, then the policies again"
lab_object_remove policies
lab_publish
sed -n 's/ deny$/ ok/p' "$data/shop.table" | lab_expect
lab_object policies <"$data/shop.yaml"
lab_publish
lab_expect <"$data/shop.table"

lab_say "a new label moves a pod"
lab_pod_object intruder app=api
lab_publish
lab_expect <"$data/relabelled.table"
lab_pod_object intruder app=intruder
lab_publish
lab_expect <"$data/shop.table"

lab_say "from the API's answer to a change of a label until the first connection that it allows"
pod=/api/v1/namespaces/$LAB_NAMESPACE/pods/intruder
refused() {
    [ "$(LAB_TIMEOUT_MS=100 lab_reach intruder db tcp 5432)" = timeout ]
}
for ((i = 0; i < changes; i++)); do
    lab_background intruder await "$LAB_TOOLS/netprobe" await -t 5000 "tcp,${LAB_POD_IP4[db]},5432"
    awaiting=$LAB_PID
    answered=$(api patch "$pod" '{"metadata":{"labels":{"app":"api"}}}')
    wait "$awaiting" || lab_fail "not within 5 s: $(cat "$LAB/out/await")"
    awk -v a="$(cat "$LAB/out/await")" -v b="$answered" 'BEGIN { printf "%.1f\n", a - b }' >>"$LAB/out/times"
    api patch "$pod" '{"metadata":{"labels":{"app":"intruder"}}}' >/dev/null
    eventually "it is refused again" 5 refused
done
lab_say "ms, median and most of $changes: $(sort -n "$LAB/out/times" | awk '{ t[NR] = $1 } END { print t[int((NR + 1) / 2)], t[NR] }'); by the daemon's own clock, s: $(lab_status '.inForce | "p50 \(.p50) p99 \(.p99)"')"

lab_say "watches are cut, the versions too old, the token refused for a while"
for how in cut line properly; do
    api control POST /watches "{\"end\": \"$how\"}" >/dev/null
done
api control POST /compact '{}' >/dev/null
api control POST /tokens '{"accept": ["another"]}' >/dev/null
api control POST /watches '{"end": "cut"}' >/dev/null
eventually "the token is refused" 10 says 'HTTP 401'
api control POST /tokens '{"accept": ["test-token"]}' >/dev/null
eventually "all kinds are watched again" 60 all_watched # each comes back in its own time
lab_pod_object intruder app=api
lab_publish
lab_expect <"$data/relabelled.table"
lab_pod_object intruder app=intruder
lab_publish
lab_expect <"$data/shop.table"

lab_say "ConfigMaps: policies of their own namespace count, others are refused"
# deny_intruder KIND NAME NAMESPACE: a ConfigMap there with a policy that keeps the intruder from web
deny_intruder() {
    local scope=$LAB_NAMESPACE selects='podSelector: { matchLabels: { app: web } }'
    [ "$1" = SegmentPolicy ] || scope=
    lab_object "$2" <<YAML
apiVersion: v1
kind: ConfigMap
metadata: { name: $2, namespace: $3, labels: { podfence.io/policies: "true" } }
data:
  deny.yaml: |
    apiVersion: podfence.io/v1alpha1
    kind: $1
    metadata: { name: $2${scope:+, namespace: $scope} }
    spec:
      mode: Denylist
      appliesTo: { $selects }
      ingress: [ { from: [ { podSelector: { matchLabels: { app: intruder } } } ] } ]
YAML
}
denied() {
    sed 's/^intruder > web tcp 8080 ok$/intruder > web tcp 8080 deny/' "$data/shop.table"
}
deny_intruder SegmentPolicy own "$LAB_NAMESPACE"
lab_publish
denied | lab_expect
lab_object_remove own
deny_intruder SegmentPolicy foreign elsewhere
deny_intruder ClusterSegmentPolicy wide podfence
lab_publish
eventually "the first is refused" 10 says 'ConfigMap/elsewhere/foreign.*a ConfigMap of namespace elsewhere holds policies of that namespace only'
eventually "and the second, as no namespace is trusted" 10 says 'ConfigMap/podfence/wide.*a ConfigMap of namespace podfence holds policies of that namespace only'
lab_expect <"$data/shop.table"
lab_daemon_stop
lab_daemon_start --kubeconfig "$api/kubeconfig" --policy-namespace podfence
lab_publish
denied | lab_expect
says 'ConfigMap/elsewhere/foreign.*holds policies of that namespace only' || lab_fail "the first one is refused still"
! says 'ConfigMap/podfence/wide.*holds policies' || lab_fail "the second one is refused still"
lab_object_remove foreign
lab_object_remove wide
lab_publish
lab_expect <"$data/shop.table"

lab_say "the API server dies: what is in force stays"
kill -KILL "$api_pid"
wait "$api_pid" 2>/dev/null || true
eventually "it says so" 10 says 'kubernetes: .*what is known of it stays in force'
eventually "kind by kind" 40 text_says '^ *Pod: .*; what is known stays in force; tried again in [0-9]* s$'
lab_expect <"$data/shop.table"
lab_daemon_kill
lab_daemon_start --kubeconfig "$api/kubeconfig"
lab_expect <"$data/shop.table"
lab_pod_object intruder app=api
rm -f "$api/control" "$api/synced.json" # it remembers nothing
api_start 9000
lab_swap
eventually "ready" 60 ready_is true
lab_publish
lab_expect <"$data/relabelled.table"
lab_pod_object intruder app=intruder
lab_publish

lab_say "a folder says otherwise: named, and the API counts"
printf 'apiVersion: podfence.io/v1alpha1\nkind: SegmentPolicy\nmetadata: { name: db, namespace: shop }\nspec: { mode: Denylist, appliesTo: {}, ingress: [ {} ] }\n' \
    >"$LAB/stage-folder/other.yaml"
folder_swap
eventually "the conflict is named" 10 says 'SegmentPolicy/shop/db is defined differently in kubernetes'
lab_expect <"$data/shop.table"
rm -f "$LAB/objects/other.yaml"

kill "$api_pid"
wait "$api_pid" 2>/dev/null || true
lab_end
