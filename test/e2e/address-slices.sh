#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# address-slices.sh: podfenced --address-slices. The pods of the node come from the API by themselves, those of other nodes
# (here: somebody outside) in AddressSlices, which the test writes itself. Verdicts follow what slices say, and nothing is
# loosened before all of it has been published.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/lab.sh"
lab_enter "$@"

api=$LAB/api
data=$LAB_SOURCE/test/e2e/data
changes=${LAB_CHANGES:-10}

api() {
    "$LAB_SOURCE/test/e2e/apiserver.py" "$1" "$api" "${@:2}"
}

# api_start VERSION: with what was there, from this resourceVersion on.
api_start() {
    rm -f "$api/control"
    lab_background node apiserver "$LAB_TOOLS/test-apiserver" --folder "$api" --listen 127.0.0.1:6443 --version "$1"
    api_pid=$LAB_PID
    eventually "the API server serves" 20 test -s "$api/control"
}

api_kill() {
    kill -KILL "$api_pid"
    wait "$api_pid" 2>/dev/null || true
}

lab_swap() {
    api sync "$LAB/stage"
}

daemon_start() {
    lab_daemon_start --kubeconfig "$api/kubeconfig" --address-slices
}

ready_is() {
    [ "$(lab_status .ready)" = "$1" ]
}

says() {
    lab_has "$1" status -o json
}

# slice_object APP: who is outside (over IPv6 it speaks with its second address) is a pod of another node, and the slice has the node's own pod web wrongly.
slice_object() {
    lab_object slice <<YAML
apiVersion: podfence.io/v1alpha1
kind: AddressSlice
metadata: { name: podfence-1, labels: { app.kubernetes.io/managed-by: podfence } }
groups:
  - namespace: shop
    labels: { app: $1 }
    pods:
      - { name: remote, uid: remote-1, node: lab-other, ips: [ $(lab_address outside 4), "$(lab_address excepted 6)" ] }
      - { name: web, uid: remote-2, node: lab-node, ips: [ 192.0.2.77 ] }
nodes:
  - { name: lab-other, labels: { zone: "1" }, ips: [ 192.0.2.2, "2001:db8:2::2" ], podCIDRs: [ 10.99.0.0/24 ] }
  - { name: lab-node, ips: [ 192.0.2.77 ] }
YAML
}

complete_object() {
    lab_object complete <<'YAML'
apiVersion: podfence.io/v1alpha1
kind: AddressSlice
metadata: { name: podfence-complete, labels: { app.kubernetes.io/managed-by: podfence } }
complete: true
YAML
}

# Another node's daemon writes for the cluster, so that this one does not.
lease_object() {
    lab_object lease <<'YAML'
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: { name: podfence, namespace: podfence }
spec: { holderIdentity: lab-other, leaseDurationSeconds: 3000, leaseTransitions: 1 }
YAML
}

# reaches OUTCOME: of somebody outside who asks db, which takes api's connections.
reaches() {
    local family
    for family in 4 6; do
        [ "$(LAB_TIMEOUT_MS=200 lab_reach outside db tcp 5432 "$family")" = "$1" ] || return 1
    done
}

# What pods of the node may do, whoever is outside.
inside() {
    grep -v '^outside' "$data/shop.table"
}

mkdir -p "$LAB/objects" "$api"
lab_chain bridge
lab_object policies <"$data/shop.yaml"
lease_object

lab_say "without --kubernetes it is refused"
! "$LAB_BIN/podfenced" --objects "$LAB/objects" --address-slices 2>"$LAB/out/refused" || lab_fail "it starts"
grep -q 'needs --kubernetes or --kubeconfig' "$LAB/out/refused" || lab_fail "$(cat "$LAB/out/refused")"

lab_say "the kind is not installed, then installed and empty: not ready, and it says what to do"
api_start 1000
kind='"group": "podfence.io", "plural": "addressslices"'
api control POST /resources "{$kind, \"installed\": false}" >/dev/null
lab_swap
daemon_start
eventually "it names the CRD" 20 says 'kubernetes: AddressSlice: .*404.*conf/base/crds/addressslices.yaml'
expect_equal "ready" "$(lab_status .ready)" false
lab_daemon_kill
api control POST /resources "{$kind, \"version\": \"v1alpha1\", \"kind\": \"AddressSlice\"}" >/dev/null
daemon_start
eventually "it says who has to publish" 20 says 'AddressSlice: no daemon has published the addresses yet: all daemons need --address-slices'
expect_equal "ready" "$(lab_status .ready)" false

lab_say "published: ready, and the pods of the node come from the watch of Pods"
complete_object
lab_swap
eventually "ready" 20 ready_is true
lab_pods_add web api db intruder
lab_expect <"$data/shop.table"
api control GET /requests >"$LAB/out/requests"
grep -q '/pods?.*fieldSelector=spec.nodeName%3Dlab-node' "$LAB/out/requests" || lab_fail "pods of this node are not asked for"
grep -q '/nodes?.*fieldSelector=metadata.name%3Dlab-node' "$LAB/out/requests" || lab_fail "this node is not asked for"
! grep -E '/(pods|nodes)\?' "$LAB/out/requests" | grep -v fieldSelector || lab_fail "all pods or nodes are asked for"
reaches timeout || lab_fail "who is unknown reaches db"

lab_say "somebody outside is a pod in a slice: added, relabelled, refused, removed"
slice_object api
lab_publish
eventually "it reaches db" 2 reaches ok
inside | lab_expect # and web is what the watch says, not what the slice does
slice_object intruder
lab_publish
eventually "with another label it does not" 2 reaches timeout
slice_object api
lab_publish
eventually "it reaches db" 2 reaches ok
slice_object "not a label"
lab_publish
eventually "it is refused by the slice's name" 5 says 'AddressSlice/podfence-1.*groups\[0\].labels.app: a label value'
reaches ok || lab_fail "its last good version does not count"
lab_object_remove slice
lab_publish
eventually "without the slice it is unknown" 2 reaches timeout
slice_object intruder
lab_publish

lab_say "from the API's answer to a change of a slice until the first connection that it allows"
path=/apis/podfence.io/v1alpha1/addressslices/podfence-1
label() {
    jq -n --arg app "$1" --arg ip4 "$(lab_address outside 4)" --arg ip6 "$(lab_address excepted 6)" '{groups: [{
        namespace: "shop", labels: {app: $app}, pods: [{name: "remote", uid: "remote-1", node: "lab-other", ips: [$ip4, $ip6]}]}]}'
}
for ((i = 0; i < changes; i++)); do
    eventually "it is refused" 5 reaches timeout
    lab_background outside await "$LAB_TOOLS/netprobe" await -t 5000 "tcp,${LAB_POD_IP4[db]},5432"
    awaiting=$LAB_PID
    answered=$(api patch "$path" "$(label api)")
    wait "$awaiting" || lab_fail "not within 5 s: $(cat "$LAB/out/await")"
    awk -v a="$(cat "$LAB/out/await")" -v b="$answered" 'BEGIN { printf "%.1f\n", a - b }' >>"$LAB/out/times"
    api patch "$path" "$(label intruder)" >/dev/null
done
most=$(sort -n "$LAB/out/times" | tail -1)
lab_say "ms, median and most of $changes: $(sort -n "$LAB/out/times" | awk '{ t[NR] = $1 } END { print t[int((NR + 1) / 2)], t[NR] }'); by the daemon's own clock, s: $(lab_status '.inForce | "p50 \(.p50) p99 \(.p99)"')"
awk -v most="$most" 'BEGIN { exit most > 1000 }' || lab_fail "$most ms from an event until it is in force"
slice_object api
lab_publish
api patch "$path" "$(label api)" >/dev/null
eventually "it reaches db" 2 reaches ok

lab_say "a daemon that starts anew: nothing is loosened before all is published, what is in force stays"
lab_daemon_kill
api_kill
rm -f "$api/synced.json" # it remembers nothing
for object in complete slice policies; do
    lab_object_remove "$object"
done
api_start 5000
lab_swap
daemon_start
eventually "it says why it waits" 20 says 'no daemon has published the addresses yet'
slice_object intruder # half of them are there
lab_swap
sleep 1
inside | lab_expect
reaches ok || lab_fail "what was in force is not any more"
expect_equal "ready" "$(lab_status .ready)" false

lab_say "published: now it counts"
complete_object
lab_publish
eventually "ready" 20 ready_is true
sed -n 's/ deny$/ ok/p' "$data/shop.table" | lab_expect
lab_object policies <"$data/shop.yaml"
lab_publish
inside | lab_expect
eventually "who is outside is an intruder" 2 reaches timeout

lab_say "slices that vanish with their sign: what is known stays known, and the daemon says so"
lab_object_remove complete
lab_swap
eventually "it says so" 10 says 'AddressSlice: podfence-complete is gone'
inside | lab_expect

api_kill
lab_end
