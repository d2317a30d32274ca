#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# samenode.sh bridge|ptp: packets between two pods of the node go straight from one to the other, as
# long as nobody else uses their interfaces; what runs goes on when they leave that path.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/lab.sh"
lab_enter "$@"

data=$LAB_SOURCE/test/e2e/data

# Packets that the node sends to the pod through its host interface within a second.
sent_to() {
    local link before
    link=$(lab_host_veth "$1")
    before=$(ip -s -j link show dev "$link" | jq '.[0].stats64.tx.packets')
    sleep 1
    echo $(($(ip -s -j link show dev "$link" | jq '.[0].stats64.tx.packets') - before))
}

# ARP and neighbour discovery go the usual way.
expect_direct() {
    local sent
    sent=$(sent_to "$1")
    [ "$sent" -le 6 ] || lab_fail "$sent packets a second came to $1 through its interface: $2"
}
expect_usual() {
    local sent
    sent=$(sent_to "$1")
    [ "$sent" -gt 6 ] || lab_fail "only $sent packets a second came to $1 through its interface: $2"
}

# Packets that podfence has dropped so far.
dropped() {
    lab_status '[.pins.counters[] | select(.drop) | .packets] | add // 0'
}

# A qdisc that goes takes what is under way with it, without podfence too, and TCP sends it again after
# 200 ms: no cut. That podfence drops nothing is for its counters to say.
# shellcheck disable=SC2034 # of lab-traffic.sh
LAB_GAP=1000

lab_chain "$1"
lab_object policies <"$data/shop.yaml"
lab_object closed-port <<'YAML'
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: closed-port-out, namespace: shop }
spec:
  podSelector: { matchLabels: { app: web } }
  policyTypes: [ Egress ]
  egress: [ { to: [ { podSelector: { matchLabels: { app: api } } } ], ports: [ { protocol: UDP, port: 9999 } ] } ]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: closed-port-in, namespace: shop }
spec:
  podSelector: { matchLabels: { app: api } }
  ingress: [ { from: [ { podSelector: { matchLabels: { app: web } } } ], ports: [ { protocol: UDP, port: 9999 } ] } ]
YAML
lab_swap

lab_say "auto: on a bridge whose packets netfilter does not see"
for switch in iptables ip6tables; do
    echo 0 >"/proc/sys/net/bridge/bridge-nf-call-$switch"
done
lab_daemon_start
lab_pods_add web api db
if [ "$1" = bridge ]; then
    eventually "auto puts the pods on the path" 10 lab_path_is true web api db
    echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables
    eventually "auto takes them off when netfilter sees the bridge" 10 lab_path_is false web api db
else
    sleep 2.5
    lab_path_is false web api db || lab_fail "auto is on without a bridge"
fi
lab_daemon_stop

lab_say "on: nothing of what two pods say passes their interfaces"
lab_daemon_start --same-node on
eventually "the pods are on the path" 10 lab_path_is true web api db
lab_expect <<'TABLE'
web > api tcp 8080 ok
web > api udp 5353 ok
api > db tcp 5432 ok
web > db tcp 5432 deny
db > api tcp 8080 deny
TABLE

lab_say "nor does what they say of a closed port: netfilter would take it for invalid"
for iptables in iptables ip6tables; do
    "$iptables" -I FORWARD -m conntrack --ctstate INVALID -j DROP
done
for _ in 1 2; do
    lab_expect <<<"web > api udp 9999 refused"
done
for iptables in iptables ip6tables; do
    expect_equal "invalid packets that $iptables has seen" "$("$iptables" -vnxL FORWARD 1 | awk '{ print $1 }')" 0
    "$iptables" -D FORWARD 1
done

before=$(dropped)
lab_stream tcp4 api db tcp 5432 4
lab_stream tcp6 api db tcp 5432 6
lab_stream datagrams web api udp 5353 6
for pod in web api db; do
    expect_direct "$pod" "it is on the path"
done

lab_say "somebody shapes an interface: its pod leaves the path, and nothing is lost"
tc qdisc add dev "$(lab_host_veth db)" root tbf rate 1gbit burst 1mb latency 50ms
eventually "db leaves the path" 10 lab_path_is false db
lab_path_is true web api || lab_fail "the others left the path too"
expect_usual db "its interface is shaped"
tc qdisc del dev "$(lab_host_veth db)" root
eventually "db is back on the path" 10 lab_path_is true db
expect_direct db "it is back on the path"

lab_say "a filter of somebody else does the same"
tc qdisc add dev "$(lab_host_veth api)" clsact 2>/dev/null || true
bpftool prog load "$LAB_TOOLS/markseen.bpf.o" "$LAB/bpf/markseen" pinmaps "$LAB/bpf/markseen-maps"
tc filter add dev "$(lab_host_veth api)" egress prio 77 bpf direct-action object-pinned "$LAB/bpf/markseen"
eventually "api leaves the path" 10 lab_path_is false api
expect_usual db "api's interface has a filter of somebody else"
lab_stream late web api tcp 8080 4
tc filter del dev "$(lab_host_veth api)" egress prio 77
eventually "api is back on the path" 10 lab_path_is true api
expect_direct db "api is back on the path"
expect_usual api "a connection stays on the way on which it began"
expect_equal "what happened to the stream late" "$(grep -v '^start' "$LAB/out/late" || true)" ""
lab_stream_stop late

lab_say "off by the next daemon"
lab_daemon_stop
lab_daemon_start --same-node off
expect_usual db "the path is closed"
expect_equal "packets that podfence dropped meanwhile" "$(($(dropped) - before))" 0

for stream in tcp4 tcp6 datagrams; do
    expect_equal "what happened to the stream $stream" "$(grep -v '^start' "$LAB/out/$stream" || true)" ""
    kill -0 "${LAB_STREAM[$stream]}"
    lab_stream_stop "$stream"
done

lab_end
