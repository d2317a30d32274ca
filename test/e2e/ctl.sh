#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ctl.sh bridge|ptp: podfencectl against real pods: what it says of reachability is what real traffic
# shows, and it answers with and without the daemon.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/lab.sh"
lab_enter "$@"

data=$LAB_SOURCE/test/e2e/data

# The name of an end for trace: a pod's, or else its address.
end_of() {
    case $1 in
        node | outside | excepted | gateway) lab_address "$1" "$2" ;;
        *) echo "shop/$1" ;;
    esac
}

# questions TABLE: a query a line and family; the verdicts expected go to $LAB/out/expected.
questions() {
    local from arrow to proto port expected family
    while read -r from arrow to proto port expected; do
        [[ -n $from && $from != \#* ]] || continue
        [ "$expected" = ok ] && expected=allow || expected=deny
        for family in 4 6; do
            printf '%s %s %s %s IPv%s %s\n' "$from" "$to" "$proto" "$port" "$family" "$expected" >&3
            jq -nc --arg from "$(end_of "$from" "$family")" --arg to "$(end_of "$to" "$family")" \
                --arg family "IPv$family" --arg proto "${proto^^}" --argjson port "$port" '
                {from: $from, to: $to, family: $family} +
                if $proto != "ICMP" then {protocol: $proto, port: $port}
                elif $family == "IPv4" then {protocol: "ICMP", type: 8, code: 0}
                else {protocol: "ICMPv6", type: 128, code: 0} end'
        done
    done <"$1" 3>"$LAB/out/expected"
}

# trace_agrees TABLE: every line of a table that real traffic has proved.
trace_agrees() {
    questions "$1" >"$LAB/out/queries"
    lab_ctl trace --queries - <"$LAB/out/queries" >"$LAB/out/answers" || lab_fail "trace: $(cat "$LAB/out/answers")"
    expect_equal "answers" "$(wc -l <"$LAB/out/answers")" "$(wc -l <"$LAB/out/queries")"
    paste -d ' ' <(awk '{ print $NF }' "$LAB/out/expected") <(jq -r .verdict "$LAB/out/answers") \
        "$LAB/out/expected" | awk '$1 != $2 { print "trace says", $2, "of", $3, ">", $4, $5, $6, $7; bad = 1 }
        END { exit bad }' >"$LAB/out/differences" || lab_fail "$(cat "$LAB/out/differences")"
    lab_say "trace agrees on $(wc -l <"$LAB/out/queries") questions"
}

ctl() {
    lab_ctl "$@" -o json
}

# What must hold with the daemon and without.
pinned_views() {
    expect_equal "endpoints" "$(ctl endpoints | jq -c '[.endpoints[] | {endpoint, state, app, attached}] | sort_by(.endpoint) | map(.endpoint + " " + .state + " " + .app + " " + .attached)')" \
        '["shop/api enforced api ok","shop/db enforced db ok","shop/intruder enforced intruder ok","shop/web enforced web ok"]'
    expect_equal "addresses of db" "$(ctl endpoints | jq -r '.endpoints[] | select(.pod == "db") | .addresses | sort | join(" ")')" \
        "${LAB_POD_IP4[db]} ${LAB_POD_IP6[db]}"
    expect_match "SPIFFE names" "$(lab_ctl endpoints)" 'spiffe://cluster.local/ns/shop/app/db'
    expect_match "identities" "$(lab_ctl identities)" "spiffe://cluster.local/ns/shop/app/web"
    expect_match "identities" "$(ctl identities)" "${LAB_POD_IP4[web]}"
    expect_match "policies" "$(lab_ctl policies)" 'SegmentPolicy/shop/db'
    expect_match "policies" "$(ctl policies)" '"NetworkPolicy/shop/web-in"'
    expect_match "status" "$(lab_ctl status)" '4 enforced'
    lab_has '^pins:' status -o yaml || lab_fail "status as YAML: $(lab_ctl status -o yaml)"
    expect_equal "connection api > db" "$(ctl connections --from shop/api --to shop/db | jq -c '[.connections[] | select(.protocol == "TCP" and .endpoint == "shop/db" and .localPort == 5432 and .state == "established")][0] | [.verdict, .reason, .policy, .openedBy]')" \
        '["allow","rule","SegmentPolicy/shop/db","peer"]'
}

# A refused connection is reported with who, whom, why and by which policy.
refused_event() {
    jq -es 'map(select(.verdict == "DROPPED" and .source.pod_name == "intruder" and .destination.pod_name == "db"
        and .l4.TCP.destination_port == 5432 and .traffic_direction == "INGRESS"
        and .reason == "no-rule" and (.policy | tostring | test("default-deny|SegmentPolicy/shop/db")))) | length > 0' \
        "$LAB/out/events" >/dev/null
}

lab_chain "$1"
lab_object policies <"$data/shop.yaml"
lab_swap
lab_daemon_start
lab_pods_add web api db intruder
lab_expect <"$data/shop.table"
trace_agrees "$data/shop.table"
lab_stream tcp api db tcp 5432
pinned_views

lab_say "observe: what was refused, by name"
lab_background node events "$LAB_BIN/podfencectl" --bpffs "$LAB_BPFFS" --socket "$LAB_SOCKET" observe -f -o json
observer=$LAB_PID
sleep 0.3
lab_try intruder "tcp,${LAB_POD_IP4[db]},5432" >/dev/null
eventually "the refused connection is shown" 5 refused_event
kill "$observer"
wait "$observer" 2>/dev/null || true

lab_say "trace --expect and its exit status"
lab_ctl trace --from shop/api --to shop/db --port 5432/TCP --expect allow >/dev/null
status=0
lab_ctl trace --from shop/web --to shop/db --port 5432/TCP --expect allow >/dev/null || status=$?
expect_equal "exit status of a wrong expectation" "$status" 3
expect_equal "what came nearest, which the daemon knows" \
    "$(ctl trace --from shop/web --to shop/db --port 5432/TCP | jq -c '.ingress.nearest')" \
    '{"policy":"SegmentPolicy/shop/db","rule":0,"failed":"peer label app=web is not api"}'
expect_equal "what came nearest for a port that no rule has" \
    "$(ctl trace --from shop/api --to shop/db --port 5433/TCP | jq -c '.ingress.nearest | [.policy, .rule]')" \
    '["SegmentPolicy/shop/db",0]'
for to in shop/db "${LAB_POD_IP4[db]}" "${LAB_POD_IP6[db]}"; do
    expect_equal "db to itself by $to" "$(ctl trace --from shop/db --to "$to" --port 5432/TCP | jq -c '[.verdict, .audit, .egress.reason, .ingress.reason]')" \
        '["allow","allow","not-an-endpoint","not-an-endpoint"]'
done
expect_equal "db to a loopback address" "$(ctl trace --from shop/db --to 127.0.0.1 --port 5432/TCP | jq -c '[.verdict, .egress.reason]')" \
    '["deny","martian"]'

lab_say "an Audit policy denies nothing, and trace and events tell"
lab_object audit <<'YAML'
apiVersion: podfence.io/v1alpha1
kind: SegmentPolicy
metadata: { name: try-out, namespace: shop }
spec:
  mode: Denylist
  enforcement: Audit
  appliesTo: { podSelector: { matchLabels: { app: db } } }
  ingress: [ { from: [ { podSelector: { matchLabels: { app: api } } } ] } ]
YAML
lab_publish
lab_expect <"$data/shop.table"
expect_equal "trace with an Audit policy" "$(ctl trace --from shop/api --to shop/db --port 5432/TCP --family 4 | jq -c '[.verdict, .audit]')" \
    '["allow","deny"]'
expect_equal "cuts of the stream" "$(grep -c '^cut' "$LAB/out/tcp" || true)" 0
lab_object_remove audit
lab_publish

lab_say "without the daemon: from the pins"
lab_daemon_kill
expect_match "status" "$(lab_ctl status)" 'not running'
pinned_views
trace_agrees "$data/shop.table"
lab_ctl observe -o json >/dev/null # empties the ring
lab_try intruder "tcp,${LAB_POD_IP4[db]},5432" >/dev/null
lab_ctl observe -o json >"$LAB/out/events"
refused_event || lab_fail "observe without the daemon: $(head -c 2000 "$LAB/out/events")"

lab_say "load: the other programs take over what is pinned, and back"
before=$(lab_ctl status -o json | jq .pins.settings.kernelStructs)
for structs in off auto; do
    [ "$structs" = off ] && expected=false || expected=$before
    expect_equal "load --kernel-structs $structs" "$(lab_ctl load --kernel-structs "$structs" -o json | jq .kernelStructs)" "$expected"
    expect_equal "settings then" "$(lab_ctl status -o json | jq .pins.settings.kernelStructs)" "$expected"
    lab_expect <"$data/shop.table"
done
expect_equal "cuts of the stream" "$(grep -c '^cut' "$LAB/out/tcp" || true)" 0

lab_stream_stop tcp
lab_end
