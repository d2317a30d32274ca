#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# start.sh bridge|ptp: a pod is enforced from its first packet, in every start mode, with and
# without a daemon that answers.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/lab.sh"
lab_enter "$@"

data=$LAB_SOURCE/test/e2e/data
# a refused SYN is sent again after a second: what is asked here is the first one
LAB_TIMEOUT_MS=500

# attach_measured POD: ADD, with the milliseconds it took in $took.
attach_measured() {
    local before
    before=$(lab_now)
    lab_pod_attach "$1" || lab_fail "ADD of $1: $(cat "$LAB/out/$1")"
    took=$(lab_since "$(lab_now)" "$before")
}

# prepare POD LABEL: the sandbox, its object in force, its servers waiting for the interface.
prepare() {
    lab_pod_new "$1"
    lab_pod_object "$1" "$2"
    lab_publish
    lab_pod_serve "$1"
}

state_of() {
    lab_ctl endpoints -o json | jq -r ".endpoints[] | select(.pod == \"$1\") | .state"
}

resolved() {
    [ "$(state_of "$1")" = enforced ]
}

listed() {
    grep -q "shop/$1" <<<"$(lab_status .unresolved)"
}

# enforced POD: what the lists say of app=api.
enforced() {
    lab_expect <<TABLE
$1 > db tcp 5432 ok
$1 > db tcp 80 deny
web > $1 tcp 8080 ok
web > $1 tcp 80 deny
TABLE
}

closed() {
    lab_expect <<TABLE
$1 > db tcp 5432 deny
$1 > db udp 53 deny
$1 > outside icmp 0 deny
web > $1 tcp 8080 deny
web > $1 udp 5353 deny
node > $1 tcp 8080 ok
node > $1 icmp 0 ok
TABLE
}

lab_chain "$1"
lab_object policies <"$data/shop.yaml"
lab_swap
lab_daemon_start
lab_pods_add web db

lab_say "hold: the first packet after ADD already meets the policy"
lab_chain "$1" '{"startMode": "hold", "holdTimeoutMs": 5000}'
for i in 1 2 3; do
    prepare "hold$i" app=api
    attach_measured "hold$i"
    enforced "hold$i"
    [ "$took" -lt 4000 ] || lab_fail "ADD took $took ms: it waited for its time limit"
    lab_pod_del "hold$i"
done

lab_say "hold without an answer: falls back to closed after the time limit"
lab_chain "$1" '{"startMode": "hold", "holdTimeoutMs": 600}'
prepare late app=api
kill -STOP "$LAB_DAEMON_PID"
attach_measured late
if [ "$took" -lt 600 ] || [ "$took" -gt 3000 ]; then
    lab_fail "ADD took $took ms, with a time limit of 600"
fi
expect_equal "state" "$(state_of late)" pending
closed late
kill -CONT "$LAB_DAEMON_PID"
eventually "late is resolved" 5 resolved late
enforced late
lab_pod_del late

lab_say "closed: returns at once, pending until resolved"
# a limit far beyond what a busy machine takes, so that waiting for it would show
lab_chain "$1" '{"startMode": "closed", "holdTimeoutMs": 20000}'
prepare shut app=api
kill -STOP "$LAB_DAEMON_PID"
attach_measured shut
[ "$took" -lt 15000 ] || lab_fail "ADD took $took ms in start mode closed"
closed shut
kill -CONT "$LAB_DAEMON_PID"
eventually "shut is resolved" 5 resolved shut
enforced shut
lab_pod_del shut

lab_say "open by namespace: pending allows and tracks, the resolution ends it"
lab_chain "$1" '{"startMode": "closed", "startModes": {"shop": "open"}}'
prepare wide app=api
kill -STOP "$LAB_DAEMON_PID"
attach_measured wide
[ "$took" -lt 1800 ] || lab_fail "ADD took $took ms in start mode open"
# to others it is nobody yet: db admits api alone
lab_expect <<'TABLE'
wide > web tcp 8080 ok
wide > outside icmp 0 ok
outside > wide tcp 80 ok
wide > db tcp 5432 deny
node > wide tcp 80 ok
TABLE
lab_stream lawful wide web tcp 8080
lab_stream unlawful outside wide tcp 80
kill -CONT "$LAB_DAEMON_PID"
eventually "wide is resolved" 5 resolved wide
eventually "the unlawful stream is cut" 3 grep -q '^cut' "$LAB/out/unlawful"
expect_equal "cuts of the lawful stream" "$(grep -c '^cut' "$LAB/out/lawful" || true)" 0
enforced wide
lab_stream_stop lawful
lab_stream_stop unlawful
lab_pod_del wide

lab_say "a pod that nobody has described stays pending, and is listed with the reason"
lab_chain "$1" '{"startMode": "closed"}'
lab_pod_new nameless
lab_pod_serve nameless
attach_measured nameless
closed nameless
expect_equal "state" "$(state_of nameless)" pending
eventually "status lists nameless" 5 listed nameless
lab_pod_object nameless app=api
lab_publish
eventually "nameless is resolved" 5 resolved nameless
enforced nameless
lab_pod_del nameless

lab_say "labels by args.cni.labels, outside Kubernetes"
lab_chain "$1" '{"args": {"cni": {"labels": [{"key": "app", "value": "api"}]}}}'
lab_pod_new plain
lab_pod_serve plain
attach_measured plain
eventually "plain is resolved" 5 resolved plain
enforced plain
lab_pod_del plain

lab_say "a runtime that says nothing of Kubernetes: the pod is in the namespace default"
lab_pod_new bare
lab_pod_attach bare --pod '' || lab_fail "ADD: $(cat "$LAB/out/bare")"
lab_pod_serve bare
expect_equal "its name" "$(lab_ctl endpoints -o json | jq -r '.endpoints[] | select(.app == "api") | .namespace')" default
lab_object bare <<'YAML'
apiVersion: podfence.io/v1alpha1
kind: SegmentPolicy
metadata: { name: bare, namespace: default }
spec: { mode: Allowlist, appliesTo: { podSelector: { matchLabels: { app: api } } }, ingress: [] }
YAML
lab_publish
lab_expect <<'TABLE'
outside > bare tcp 80 deny
node > bare tcp 80 ok
TABLE
lab_object_remove bare
lab_pod_del bare

lab_say "an exempt namespace is let through, and listed as such"
lab_chain "$1" '{"exemptNamespaces": ["shop"]}'
prepare free app=db
attach_measured free
expect_equal "state" "$(state_of free)" exempt
lab_expect <<'TABLE'
free > web tcp 8080 ok
free > web tcp 80 deny
web > outside icmp 0 ok
outside > free tcp 80 ok
free > outside icmp 0 ok
TABLE
lab_end
