#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# node.sh bridge|ptp: probes of the node always come in, pods reach their own node unless a Denylist
# says no, and a pod that forges its source is not heard.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/lab.sh"
lab_enter "$@"

# heard FROM SOURCE TO FAMILY: 1 when TO sees the UDP packet that FROM sends as SOURCE, else 0.
heard() {
    local source to
    source=$(lab_address "$2" "$4")
    to=$(lab_address "$3" "$4")
    lab_sources "$3" 53 lab_in "$1" "$LAB_TOOLS/netprobe" forge "$source" "$to" 53 | grep -Fxc "$source" || true
}

# counter REASON: packets, of both directions.
counter() {
    lab_status "[.. | objects | select(.reason? == \"$1\") | .packets] | add // 0"
}

lab_chain "$1"
lab_object policies <<'YAML'
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: nothing, namespace: shop }
spec: { podSelector: { matchLabels: { app: web } }, policyTypes: [ Ingress, Egress ] }
YAML
lab_swap
lab_daemon_start
lab_pods_add web api

lab_say "web is isolated both ways: its node reaches it, and it its node"
lab_expect <<'TABLE'
node > web tcp 80 ok
node > web udp 53 ok
node > web sctp 9000 ok
node > web icmp 0 ok
web > node icmp 0 ok
web > node tcp 1 refused
web > gateway icmp 0 ok
web > api tcp 80 deny
web > outside icmp 0 deny
api > web tcp 80 deny
outside > web tcp 80 deny
TABLE

lab_say "what comes from elsewhere is not the node, whatever way it takes"
lab_expect <<'TABLE'
outside > web icmp 0 deny
api > web udp 53 deny
TABLE

lab_say "a Denylist closes the way to the node, not the node's probes"
lab_object cut <<'YAML'
apiVersion: podfence.io/v1alpha1
kind: SegmentPolicy
metadata: { name: cut, namespace: shop }
spec:
  mode: Denylist
  enforcement: Enforce
  appliesTo: { podSelector: { matchLabels: { app: web } } }
  ingress: [ {} ]
  egress: [ {} ]
YAML
lab_publish
lab_expect <<'TABLE'
web > node icmp 0 deny
web > gateway icmp 0 deny
node > web tcp 80 ok
node > web icmp 0 ok
TABLE
lab_object_remove cut
lab_publish

lab_say "an exempt pod, whose source nobody checks, cannot pass for the node"
lab_chain "$1" '{"exemptNamespaces": ["free"]}'
LAB_NAMESPACE=free lab_pods_add evil
for filtered in 0 1; do # a bridge without netfilter hands on the sender's socket
    sysctl -qw "net.bridge.bridge-nf-call-iptables=$filtered" "net.bridge.bridge-nf-call-ip6tables=$filtered"
    for family in 4 6; do
        expect_equal "web hears evil as the gateway over IPv$family" "$(heard evil gateway web "$family")" 0
    done
done
lab_object_remove policies
lab_publish
# a router would drop it anyway, as a martian
for family in 4 6; do
    [ "$1" != bridge ] ||
        expect_equal "without policy web hears it over IPv$family" "$(heard evil gateway web "$family")" 1
done

lab_say "forged sources"
for family in 4 6; do
    expect_equal "api hears web over IPv$family" "$(heard web web api "$family")" 1
    expect_equal "api hears web as outside over IPv$family" "$(heard web outside api "$family")" 0
    expect_equal "web hears api as the node over IPv$family" "$(heard api node web "$family")" 0
    expect_equal "web hears api as excepted over IPv$family" "$(heard api excepted web "$family")" 0
done
[ "$(counter spoofed-address)" -ge 6 ] || lab_fail "forged packets are not counted: $(counter spoofed-address)"
lab_end
