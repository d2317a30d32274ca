#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# evade.sh bridge|ptp: pods that are isolated and work together, each with a raw socket. Nothing that one
# writes reaches another, or anybody outside, by a way that no rule allows.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/lab.sh"
lab_enter "$@"

allowed=24068
denied=24069

# send FROM MAC [OPTION...] KIND SOURCE DESTINATION PORT
send() {
    local from=$1 mac=$2
    shift 2
    lab_in "$from" "$LAB_TOOLS/netprobe" inject -m "$mac" "$@" || lab_fail "inject in $from: $*"
}

# listen WHO PROGRAM...
listeners=()
listen() {
    lab_background "$1" "at-$1" "$LAB_TOOLS/netprobe" "${@:2}"
    listeners+=("$LAB_PID")
    eventually "$1 listens" 5 grep -q ready "$LAB/out/at-$1"
}

wrong=0
# nothing WHAT WHO TEXT: it has not got there.
nothing() {
    sleep 0.2
    if grep -q -- "$3" "$LAB/out/at-$2"; then
        printf 'FAIL: %s: %s got it\n' "$1" "$2" >&2
        wrong=$((wrong + 1))
    fi
}

mac_of() {
    ip -n "$1" -j link show dev eth0 | jq -r '.[0].address'
}

lab_chain "$1"
lab_object policies <<YAML
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: isolated, namespace: shop }
spec:
  podSelector: { matchLabels: { app: web } }
  policyTypes: [ Ingress, Egress ]
  egress:
  - to: [ { ipBlock: { cidr: 192.0.2.0/24 } }, { ipBlock: { cidr: "2001:db8:2::/64" } } ]
    ports: [ { protocol: UDP, port: $allowed } ]
---
apiVersion: podfence.io/v1alpha1
kind: SegmentPolicy
metadata: { name: not-web, namespace: shop }
spec:
  mode: Denylist
  enforcement: Enforce
  appliesTo: { podSelector: { matchLabels: { app: shy } } }
  ingress: [ { from: [ { podSelector: { matchLabels: { app: other } } } ] } ]
---
apiVersion: podfence.io/v1alpha1
kind: SegmentPolicy
metadata: { name: not-to-shy, namespace: shop }
spec:
  mode: Denylist
  enforcement: Enforce
  appliesTo: { podSelector: { matchLabels: { app: other } } }
  egress: [ { to: [ { podSelector: { matchLabels: { app: shy } } } ] } ]
YAML
lab_swap
lab_daemon_start
lab_pods_add web friend other shy
friend=$(mac_of friend)
gateway=$(ip -j link show dev "$([ "$1" = bridge ] && echo cni0 || lab_host_veth web)" | jq -r '.[0].address')
listen friend sniff letter-arp letter-4 letter-6 own-4 own-6
listen outside sniff LETTER

lab_say "in an ARP answer"
send web "$friend" -l letter-arp arp-letter "$(lab_address web 4)" "$(lab_address friend 4)" 1
nothing "ARP with a letter behind it" friend letter-arp

lab_say "in a packet for the node, or for an allowed peer, in a frame to another pod"
for family in 4 6; do
    send web "$friend" -l "own-$family" plain "$(lab_address web "$family")" "$(lab_address gateway "$family")" "$denied"
    nothing "to the node's address over IPv$family" friend "own-$family"
    send web "$friend" -l "letter-$family" plain "$(lab_address web "$family")" "$(lab_address outside "$family")" "$allowed"
    nothing "to an allowed address over IPv$family" friend "letter-$family"
done

lab_say "under a link-local address, which no label stands behind"
local_of() {
    ip -n "$1" -j -6 addr show dev eth0 scope link | jq -r '[.[].addr_info[]?.local // empty][0]'
}
lab_background shy at-shy "$LAB_TOOLS/netprobe" hear "$allowed" "$denied"
listeners+=("$LAB_PID")
eventually "shy listens" 5 grep -q ready "$LAB/out/at-shy"
shy=$(mac_of shy)
send other "$shy" -l shy-global plain "$(lab_address other 6)" "$(lab_address shy 6)" "$allowed"
nothing "a datagram that a Denylist denies" shy shy-global
send other "$shy" -l shy-local plain "$(local_of other)" "$(local_of shy)" "$allowed"
nothing "the same under a link-local address" shy shy-local

lab_say "in a neighbour solicitation that is routed"
send web "$gateway" -l LETTER solicitation-letter "$(lab_address web 6)" "$(lab_address outside 6)" 1
nothing "a solicitation to the world" outside LETTER

kill "${listeners[@]}"
lab_say "by a checksum that is written over the port behind the filter"
"$LAB_TOOLS/netprobe" offload eth0
listeners=()
listen outside hear "$allowed" "$denied"
for family in 4 6; do
    send web "$gateway" -l "port-$family" -o "$allowed" plain "$(lab_address web "$family")" "$(lab_address outside "$family")" "$denied"
    send web "$gateway" -l "lawful-$family" -o "$denied" plain "$(lab_address web "$family")" "$(lab_address outside "$family")" "$allowed"
    eventually "outside hears what is allowed over IPv$family" 5 grep -q "heard $allowed lawful-$family" "$LAB/out/at-outside"
    send web "$gateway" -l "port-$family" -o "$denied" rewritten "$(lab_address web "$family")" "$(lab_address outside "$family")" "$allowed"
    nothing "a datagram for port $denied over IPv$family" outside "heard $denied port-$family"
done
kill "${listeners[@]}"
[ "$wrong" -eq 0 ] || lab_fail "$wrong ways around the policy"
lab_end
