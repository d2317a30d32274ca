#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# flows.sh: what the flow book says of real traffic: names, counts, verdicts and policies; over a
# restart and a kill of the daemon, and when the pods have gone.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/lab.sh"
lab_enter "$@"

data=$LAB_SOURCE/test/e2e/data

# edge FROM TO: "forwarded dropped audit" of that edge of the graph
edge() {
    lab_ctl graph -o json | jq -r --arg from "$1" --arg to "$2" \
        '.edges[] | select(.source == $from and .destination == $to) | "\(.forwarded) \(.dropped) \(.audit)"'
}

# ruling FROM TO PORT VERDICT HOOK FIELD
ruling() {
    lab_ctl graph -o json | jq -r --arg from "$1" --arg to "$2" --arg port "$3" --arg verdict "$4" \
        '.edges[] | select(.source == $from and .destination == $to) | .ports[] |
         select(.port == $port and .verdict == $verdict)'" | .$5.$6"
}

# Each line once over IPv4 and once over IPv6.
traffic() {
    lab_expect <<'TABLE'
web > api tcp 8080 ok
web > api udp 5353 ok
api > db tcp 5432 ok
api > db icmp 0 ok
web > outside icmp 0 ok
web > excepted icmp 0 deny
intruder > api tcp 8080 deny
TABLE
}

# so many rounds of that traffic have been counted, whatever a refused one tried again
counts_are() {
    local n=$(($1 * 2))
    expect_equal "web to api" "$(edge shop/web shop/api)" "$n 0 $n"
    expect_equal "api to db" "$(edge shop/api shop/db)" "$((2 * n)) 0 0"
    expect_match "intruder to api" "$(edge shop/intruder shop/api)" "^0 [0-9]+ 0$"
    [ "$(edge shop/intruder shop/api | cut -d' ' -f2)" -ge "$n" ] || lab_fail "intruder to api: $(edge shop/intruder shop/api)"
    expect_match "web to the world" "$(edge shop/web reserved:world)" "^$n [0-9]+ 0$"
}

world_is_heard() {
    lab_reach web outside icmp 0 >"$LAB/out/heard"
    lab_ctl top -o json | jq -e '.flows[] | select(.destination.name == "world" and .verdict == "FORWARDED") |
        .destination.addresses | index("192.0.2.100/32")' >"$LAB/out/heard"
}

lab_chain bridge
lab_object policies <"$data/shop.yaml"
lab_object audited <<'YAML'
apiVersion: podfence.io/v1alpha1
kind: SegmentPolicy
metadata: { name: no-mdns, namespace: shop }
spec:
  mode: Denylist
  enforcement: Audit
  appliesTo: { podSelector: { matchLabels: { app: api } } }
  ingress: [ { ports: [ { protocol: UDP, port: 5353 } ] } ]
YAML
lab_swap
lab_daemon_start
lab_pods_add web api db intruder

lab_say "what passed, what did not, and who said so"
traffic
counts_are 1
expect_equal "policy of web to api" "$(ruling shop/web shop/api 8080/TCP FORWARDED ingress policy)" NetworkPolicy/shop/api-in
expect_equal "rule of web to api" "$(ruling shop/web shop/api 8080/TCP FORWARDED ingress rule)" 0
expect_equal "policy at the sender" "$(ruling shop/web shop/api 8080/TCP FORWARDED egress policy)" NetworkPolicy/shop/web-out
expect_equal "who would refuse mDNS" "$(ruling shop/web shop/api 5353/UDP AUDIT ingress auditPolicy)" SegmentPolicy/shop/no-mdns
expect_equal "why intruder is refused" "$(ruling shop/intruder shop/api 8080/TCP DROPPED ingress reason)" no-rule
expect_equal "ICMP" "$(ruling shop/api shop/db 'ICMP 8/0' FORWARDED ingress policy)" SegmentPolicy/shop/db
expect_match "top" "$(lab_ctl top --namespace shop)" 'shop/web +shop/api +8080/TCP +2 +- +- +[0-9]+s ago +NetworkPolicy/shop/api-in rule 0'
expect_match "top of what is dropped" "$(lab_ctl top --verdict dropped)" 'shop/intruder +shop/api +8080/TCP +- +[0-9]+ '
expect_equal "labels" "$(lab_ctl top -o json | jq -c '[.flows[] | select(.destination.app == "api") | .destination.labels] | unique')" '[{"app":"api"}]'
expect_equal "addresses in it" "$(lab_ctl graph -o json | grep -c '10\.88\.' || true)" 0
expect_equal "what may be missing" "$(lab_ctl top -o json | jq .lost)" 0
lab_ctl top -f -l 3 >"$LAB/out/follow" &
follower=$!

lab_say "addresses of the world"
eventually "the address of who was asked outside" 12 world_is_heard
eventually "top -f looks twice" 5 grep -q NEW/S "$LAB/out/follow"
kill "$follower"
before=$(edge shop/web reserved:world | cut -d' ' -f1)

lab_say "the daemon ends and comes back; the counts go on"
lab_daemon_stop
[ -s "$LAB/state/flows.jsonl" ] || lab_fail "nothing was kept in $LAB/state"
expect_match "without a daemon" "$(lab_ctl top 2>&1 || true)" 'start podfenced, or give --flows FILE'
lab_try intruder "tcp,$(lab_address api 4),8080" >"$LAB/out/while-dead"
lab_daemon_start
expect_equal "web to api" "$(edge shop/web shop/api)" "2 0 2"
expect_equal "web to the world" "$(edge shop/web reserved:world | cut -d' ' -f1)" "$before"

lab_say "it is killed"
traffic
lab_daemon_kill
lab_daemon_start
expect_equal "web to api" "$(edge shop/web shop/api)" "4 0 4"
expect_equal "api to db" "$(edge shop/api shop/db)" "8 0 0"

lab_say "a broken file is set aside"
lab_ctl top -o json >"$LAB/out/saved.json"
lab_daemon_stop
printf 'nonsense\n' >"$LAB/state/flows.jsonl"
lab_daemon_start
expect_match "what the daemon says" "$(cat "$LAB/daemon.log")" 'flows.jsonl cannot be used \(line 1: .*flows.jsonl.broken'
expect_equal "what it counts again" "$(edge shop/web shop/api)" "4 0 4" # the kernel still has it
expect_equal "a saved answer" "$(lab_ctl graph -o json --flows "$LAB/out/saved.json" |
    jq -r '.edges[] | select(.source == "shop/web" and .destination == "shop/api") | .forwarded')" 4

lab_say "a book of another boot, too large for one message"
lab_daemon_stop
jq -nc '{podfenceFlows: 1, boot: "another", since: "2026-01-01T00:00:00Z", jiffies: 5, flows: 3000},
    (range(3000) | {source: {kind: "workload", namespace: "old", app: "app-\(.)", labels: {app: "app-\(.)", tier: "back"}},
        destination: {kind: "reserved", name: "world"}, protocol: "TCP", port: 443, direction: "EGRESS",
        verdict: "FORWARDED", reason: "rule", policy: "NetworkPolicy/old/out", rule: 0, auditPolicy: null, auditRule: null,
        count: 7, firstSeen: "2026-01-01T00:00:00Z", lastSeen: "2026-01-02T00:00:00Z"}), {end: true}' >"$LAB/state/flows.jsonl"
lab_daemon_start
expect_equal "flows of then" "$(lab_ctl top -o json | jq -c '[.flows[] | select(.source.namespace == "old")] | [length, (map(.source.app) | unique | length), (map(.count) | add)]')" \
    '[3000,3000,21000]'
expect_equal "since" "$(lab_ctl top -o json | jq -r .since)" 2026-01-01T00:00:00.000Z
expect_equal "those of the last minutes" "$(lab_ctl top --since 10m -o json | jq '[.flows[] | select(.source.namespace == "old")] | length')" 0
expect_equal "what this boot has counted" "$(edge shop/web shop/api)" "4 0 4"
expect_equal "flows, by status" "$(lab_status '.flows | [.count > 3000, .unnamed, .kept]')" '[true,0,true]'

lab_say "the pods go, their names stay"
for pod in web api db intruder; do
    lab_pod_del "$pod"
done
lab_publish
names_are_gone() {
    [ "$(lab_ctl identities -o json | jq '[.identities[] | select(.kind == "pod")] | length')" = 0 ]
}
eventually "nobody has the identities" 25 names_are_gone
expect_equal "web to api" "$(edge shop/web shop/api)" "4 0 4"
for format in dot mermaid svg html; do
    [ "$(lab_ctl graph -o "$format" | grep -c intruder)" -gt 0 ] || lab_fail "there is no intruder in $format"
done
lab_end
