#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Pods before the daemon has ever run: nothing is pinned, so ADD asks to come again; with
# failurePolicy open the pod starts and is recorded.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/lab.sh"
lab_enter "$@"

lab_chain bridge
lab_swap
lab_pod_new early

lab_say "closed: code 11, the chain is undone, the runtime tries again"
if lab_pod_attach early; then
    lab_fail "ADD without pinned programs succeeds"
fi
expect_equal "who refuses" "$(jq -r .plugin "$LAB/out/early")" podfence
expect_equal "code" "$(jq -r .error.code "$LAB/out/early")" 11
expect_match "text" "$(jq -r '.error.msg + " " + (.error.details // "")' "$LAB/out/early")" 'podfenced'
expect_equal "interfaces in the pod" "$(ip -n early -j link | jq 'length')" 1
expect_equal "addresses held" "$(find "$LAB/ipam" -name '10.*' -o -name 'fd00*' | wc -l)" 0
lab_cni del early >"$LAB/out/del" || lab_fail "DEL without pins: $(cat "$LAB/out/del")"

lab_say "STATUS: 50, an ADD would fail now"
jq '.cniVersion = "1.1.0"' "$LAB/chain.conflist" >"$LAB/new.conflist"
if out=$(lab_cni status early --only podfence --conf "$LAB/new.conflist"); then
    lab_fail "STATUS is content without pins"
fi
expect_equal "code of STATUS" "$(jq -r .error.code <<<"$out")" 50
lab_cni gc early --only podfence --conf "$LAB/new.conflist" --valid '' >"$LAB/out/gc" ||
    lab_fail "GC without pins: $(cat "$LAB/out/gc")"
if lab_ctl status >"$LAB/out/status" 2>&1; then
    lab_fail "podfencectl status is content without pins"
fi
expect_match "podfencectl without pins" "$(cat "$LAB/out/status")" 'podfenced'

lab_say "open: the pod starts, with a warning and a record"
lab_chain bridge '{"failurePolicy": "open"}'
lab_pod_attach early || lab_fail "ADD with failurePolicy open: $(cat "$LAB/out/early")"
lab_pod_serve early
expect_match "warning" "$(cat "$LAB/out/early.err")" 'early|unenforced|not enforced'
expect_equal "records" "$(find "$LAB/unenforced" -type f | wc -l)" 1
lab_expect <<'TABLE'
node > early tcp 80 ok
TABLE
lab_pod_del early
expect_equal "records after DEL" "$(find "$LAB/unenforced" -type f | wc -l)" 0

lab_say "the daemon comes: what started open is enforced, what it had open goes on"
lab_chain bridge '{"failurePolicy": "open"}'
for pod in db api intruder; do
    lab_pod_new "$pod"
    lab_pod_object "$pod" "app=$pod"
    lab_pod_attach "$pod" || lab_fail "ADD with failurePolicy open: $(cat "$LAB/out/$pod")"
    lab_pod_serve "$pod"
done
lab_chain bridge '{"failurePolicy": "open", "exemptNamespaces": ["shop"]}'
lab_pod_new exempt
lab_pod_object exempt app=exempt
lab_pod_attach exempt || lab_fail "ADD of an exempt pod: $(cat "$LAB/out/exempt")"
lab_pod_serve exempt
lab_chain bridge
expect_equal "records" "$(find "$LAB/unenforced" -type f | wc -l)" 4
printf '{"nonsense"' >"$LAB/unenforced/nonsense:eth0"
lab_object policies <<'YAML'
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: db, namespace: shop }
spec:
  podSelector: { matchLabels: { app: db } }
  policyTypes: [Ingress, Egress]
  ingress:
  - from: [{ podSelector: { matchLabels: { app: api } } }]
    ports: [{ port: 5432 }, { port: 5353, protocol: UDP }]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: api, namespace: shop }
spec:
  podSelector: { matchLabels: { app: api } }
  policyTypes: [Ingress, Egress]
  egress:
  - to: [{ podSelector: { matchLabels: { app: db } } }]
    ports: [{ port: 5432 }, { port: 5353, protocol: UDP }]
YAML
lab_swap
lab_outside_ready
export LAB_GAP=1000 # one retransmission is no cut
lab_stream lawful4 api db tcp 5432 4
lab_stream lawful6 api db tcp 5432 6
lab_stream lawful-udp api db udp 5353 4
lab_stream unlawful intruder db tcp 5432 4
lab_stream to-exempt intruder exempt tcp 5432 4
lab_daemon_start
eventually "the unlawful stream is cut" 5 grep -q '^cut' "$LAB/out/unlawful"
expect_equal "endpoints" "$(lab_ctl endpoints -o json | jq -r '[.endpoints[].pod] | sort | join(" ")')" \
    "api db exempt intruder"
expect_equal "resolved" "$(lab_status '.endpoints | [.enforced, .pending, .exempt]')" '[3,0,1]'
expect_equal "records" "$(find "$LAB/unenforced" -type f)" "$LAB/unenforced/nonsense:eth0"
expect_match "status" "$(lab_ctl status || true)" 'unenforced/nonsense:eth0.*no JSON object'
lab_expect <<'TABLE'
api > db tcp 5432 ok
api > db tcp 80 deny
intruder > db tcp 5432 deny
db > outside icmp 0 deny
api > outside icmp 0 deny
intruder > outside icmp 0 ok
intruder > exempt tcp 80 ok
node > db tcp 80 ok
TABLE
sleep 1.5
for stream in lawful4 lawful6 lawful-udp to-exempt; do
    expect_equal "what happened to $stream" "$(grep -v '^start' "$LAB/out/$stream" || true)" ""
    kill -0 "${LAB_STREAM[$stream]}"
done
for stream in lawful4 lawful6 lawful-udp to-exempt unlawful; do
    lab_stream_stop "$stream"
done
rm "$LAB/unenforced/nonsense:eth0"
for pod in db api intruder exempt; do
    lab_pod_del "$pod"
done
lab_maps_empty
expect_equal "records after DEL" "$(find "$LAB/unenforced" -type f | wc -l)" 0

lab_say "an ADD that was refused before succeeds now and is enforced"
lab_object policies <<'YAML'
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: nothing, namespace: shop }
spec: { podSelector: {} }
YAML
lab_pods_add early
lab_expect <<'TABLE'
node > early tcp 80 ok
outside > early tcp 80 deny
early > outside icmp 0 ok
TABLE
lab_end
