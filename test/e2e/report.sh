#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# report.sh: what is told to the API server of policies, by three daemons with the rights of install.yaml and
# no others. Conditions follow what all nodes have in force, refused policies get an Event, one daemon
# writes and another takes over when it stops, many policies cost few writes; without a right all is in
# force all the same.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/lab.sh"
lab_enter "$@"

api=$LAB/api
policies=/apis/podfence.io/v1alpha1/namespaces/shop/segmentpolicies
reports=/apis/podfence.io/v1alpha1/nodereports
declare -A daemons=()

api() {
    "$LAB_SOURCE/test/e2e/apiserver.py" "$1" "$api" "${@:2}"
}

# daemon_start NAME: beside the lab's own, without pods.
daemon_start() {
    mkdir -p "$LAB/$1"
    lab_background node "$1" "$LAB_BIN/podfenced" --bpffs "$LAB/bpf/$1" --socket "$LAB/$1/socket" \
        --state "$LAB/$1/state" --node-name "$1" --kubeconfig "$api/kubeconfig"
    daemons[$1]=$LAB_PID
}

# policy NAME MODE [GENERATION]: for the pods of the label app=NAME
policy() {
    api control POST /objects "$(jq -n --arg name "$1" --arg mode "$2" --argjson generation "${3:-1}" '{
        apiVersion: "podfence.io/v1alpha1", kind: "SegmentPolicy",
        metadata: {name: $name, namespace: "shop", generation: $generation},
        spec: {mode: $mode, appliesTo: {podSelector: {matchLabels: {app: $name}}}, ingress: [{}]}}')" >/dev/null
}

# condition NAME TYPE: "STATUS REASON GENERATION MESSAGE", of a generation that is the object's
condition() {
    api get "$policies/$1" | jq -r --arg type "$2" '.metadata.generation as $now
        | .status.conditions // [] | .[] | select(.type == $type and .observedGeneration == $now)
        | "\(.status) \(.reason) \(.observedGeneration) \(.message)"'
}

# Not more often than others have use for the processors.
is() {
    # shellcheck disable=SC2053 # a pattern
    [[ $(condition "$1" "$2") == $3 ]] || { sleep 0.3 && false; }
}

holder() {
    api get /apis/coordination.k8s.io/v1/namespaces/podfence/leases/podfence | jq -r .spec.holderIdentity
}

reported() {
    [ "$(api get "$reports" | jq '.items | length')" = "$1" ]
}

# Writes of statuses since the server began.
writes() {
    api control GET /requests | jq '[.[] | select(test("^PATCH .*/status\\?"))] | length'
}

mkdir -p "$LAB/objects" "$api"
lab_chain bridge
lab_background node apiserver "$LAB_TOOLS/test-apiserver" --folder "$api" --listen 127.0.0.1:6443
api_pid=$LAB_PID
eventually "the API server serves" 20 test -s "$api/control"
# and what this test itself does
api rights "$LAB_SOURCE/conf/install.yaml" '[{"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["list"]},
    {"apiGroups": ["podfence.io"], "resources": ["nodereports"], "verbs": ["delete"]}]' >/dev/null
for name in shop podfence; do
    api control POST /objects "{\"apiVersion\": \"v1\", \"kind\": \"Namespace\", \"metadata\": {\"name\": \"$name\"}}" >/dev/null
done
api control POST /objects '{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "two", "uid": "uid-of-two"}}' >/dev/null

lab_say "three daemons: each reports, one of them leads"
lab_daemon_start --kubeconfig "$api/kubeconfig"
daemon_start two
daemon_start three
eventually "three reports" 20 reported 3
expect_equal "the node's report goes with it" \
    "$(api get "$reports/two" | jq -r '.metadata.ownerReferences[0] | "\(.kind)/\(.name) \(.uid)"')" "Node/two uid-of-two"
leads() { [ -n "$(holder)" ]; }
eventually "one leads" 20 leads
lab_say "it is $(holder)"

lab_say "a policy is accepted, and in force on all nodes"
begun=$(date +%s%N)
policy web Allowlist
eventually "accepted" 20 is web Accepted "True Accepted 1 the policy is valid"
eventually "programmed" 20 is web Programmed "True Programmed 1 in force on 3 of 3 nodes"
lab_say "after $((($(date +%s%N) - begun) / 1000000)) ms"
eventually "not degraded" 5 is web Degraded "False Enforced 1 *"

lab_say "one that is refused says why, in its conditions and by an Event"
policy wrong Forbidlist
eventually "not accepted" 20 is wrong Accepted "False Invalid 1 *spec.mode*Forbidlist*"
eventually "not programmed" 20 is wrong Programmed "False Invalid 1 it is not valid"
event() {
    api get /apis/events.k8s.io/v1/namespaces/shop/events | jq -e --arg name "$1" '[.items[] | select(.regarding.name == $name
        and .reason == "Refused" and .type == "Warning" and (.note | test("spec.mode")))] | length == 1' >/dev/null
}
eventually "an Event" 20 event wrong
policy web Forbidlist 2
eventually "not accepted" 20 is web Accepted "False Invalid 2 *spec.mode*"
eventually "the one before is in force" 20 is web Programmed "False Invalid 2 its last valid version stays in force"
policy web Denylist 3
eventually "mended" 20 is web Programmed "True Programmed 3 in force on 3 of 3 nodes"

lab_say "a node that does not follow is named"
lagging=two
[ "$(holder)" = two ] && lagging=three
kill -STOP "${daemons[$lagging]}"
policy api Allowlist
eventually "pending" 20 is api Programmed "False Pending 1 in force on 2 of 3 nodes; not yet on $lagging"
kill -CONT "${daemons[$lagging]}"
eventually "programmed" 20 is api Programmed "True Programmed 1 in force on 3 of 3 nodes"

lab_say "many policies at once"
before=$(writes)
begun=$(date +%s%N)
api control POST /objects "$(jq -n '{apiVersion: "v1", kind: "List", items: [range(60) | {
    apiVersion: "podfence.io/v1alpha1", kind: "SegmentPolicy", metadata: {name: "many-\(.)", namespace: "shop", generation: 1},
    spec: {mode: "Allowlist", appliesTo: {podSelector: {matchLabels: {app: "many-\(.)"}}}, ingress: [{}]}}]}')" >/dev/null
all_programmed() {
    sleep 0.3
    [ "$(api get "$policies" | jq '[.items[] | select(.metadata.name | startswith("many-")) | .status.conditions // [] | .[]
        | select(.type == "Programmed" and .status == "True")] | length')" = 60 ]
}
eventually "all are programmed" 60 all_programmed
wrote=$(($(writes) - before))
lab_say "60 policies: $wrote writes of statuses, after $((($(date +%s%N) - begun) / 1000000)) ms"
[ "$wrote" -le 180 ] || lab_fail "three for each would be many"
sleep 6
expect_equal "writes when nothing happens" "$(($(writes) - before))" "$wrote"

lab_say "who leads stops: another one leads, and goes on"
first=$(holder)
if [ "$first" = lab-node ]; then
    lab_daemon_stop
else
    kill -TERM "${daemons[$first]}"
    wait "${daemons[$first]}" || lab_fail "$first did not end well"
fi
another() { [ -n "$(holder)" ] && [ "$(holder)" != "$first" ]; }
eventually "another one leads" 45 another
policy late Allowlist
eventually "the one that is gone is named" 20 is late Programmed "False Pending 1 in force on 2 of 3 nodes; not yet on $first"
api delete "$reports/$first" >/dev/null
eventually "a node that is gone does not count" 20 is late Programmed "True Programmed 1 in force on 2 of 2 nodes"

expect_equal "the Event was told once" "$(event wrong && echo once)" once
policy wrong Allowlist 2
eventually "mended" 20 is wrong Accepted "True *"

lab_say "no right to write: it is said, and policies are in force all the same"
for name in two three; do
    [ "$name" = "$first" ] || kill -TERM "${daemons[$name]}"
    [ "$name" = "$first" ] || wait "${daemons[$name]}" || lab_fail "$name did not end well"
done
[ "$first" = lab-node ] || lab_daemon_stop
api control POST /rights '{"refuse": [{"verb": "create", "group": "events.k8s.io", "resource": "events"}]}' >/dev/null
lab_daemon_start --kubeconfig "$api/kubeconfig"
events_are_refused() { lab_status .report.problem | grep -q "Events of refused policies cannot be written: .*HTTP 403"; }
policy other Forbidlist
eventually "Events cannot be written" 45 events_are_refused
statuses=$(lab_status .report.statuses)
policy web Denylist 4
eventually "a status is" 20 is web Accepted "True Accepted 4 *"
[ "$(lab_status .report.statuses)" -gt "$statuses" ] || lab_fail "no status was written"
events_are_refused || lab_fail "what is wrong with Events is forgotten: $(lab_status .report.problem)"
policy other Allowlist 2
eventually "mended" 20 is other Accepted "True *"
lab_daemon_stop
api control POST /rights '{"refuse": [{"verb": "*", "group": "coordination.k8s.io", "resource": "leases"},
    {"verb": "*", "group": "podfence.io", "resource": "nodereports"}]}' >/dev/null
lab_daemon_start --kubeconfig "$api/kubeconfig"
refused() { lab_status .report.problem | grep -q "HTTP 403"; }
eventually "it is said" 20 refused
eventually "ready" 20 lab_has '"ready":true' status -o json
eventually "and logged" 20 grep -q 'level=warning msg="kubernetes: .*HTTP 403' "$LAB/daemon.log"
lab_daemon_stop
lab_daemon_start --kubeconfig "$api/kubeconfig" --report off
expect_equal "--report off" "$(lab_status .report)" null

kill "$api_pid"
wait "$api_pid" 2>/dev/null || true
lab_end
