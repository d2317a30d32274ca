#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# hostile.sh bridge|ptp: what a pod with a raw socket sends, and what of it reaches the sockets, the
# neighbour table, the addresses and the routes of another pod and of the node. Each attack is also
# made between two exempt pods: it must work there, or the test would show nothing.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/lab.sh"
lab_enter "$@"

# 24068 is 0x5e04: as an IP option it is one of four bytes
allowed=24068
denied=24069

# MACs: of a pod, and of what it takes for its gateway.
declare -A pod_mac=() gateway_mac=()
learn_macs() {
    local pod link
    for pod in "${!LAB_POD_ID[@]}"; do
        pod_mac[$pod]=$(ip -n "$pod" -j link show dev eth0 | jq -r '.[0].address')
        link=cni0
        [ "$LAB_CHAIN" = bridge ] || link=$(lab_host_veth "$pod")
        gateway_mac[$pod]=$(ip -j link show dev "$link" | jq -r '.[0].address')
    done
}

# where FROM TO: the MAC that a frame to TO goes to.
where() {
    if [ "$LAB_CHAIN" = bridge ]; then
        echo "${pod_mac[$2]:-${gateway_mac[$1]}}"
    else
        echo "${gateway_mac[$1]}"
    fi
}

bridge_link() {
    [ "$LAB_CHAIN" != bridge ] || echo cni0
}

believes() {
    [ -n "$(learnt "$1" 2001:db8:bad: "$2")" ]
}

# send FROM MAC [OPTION...] KIND SOURCE DESTINATION PORT: addresses as they are.
send() {
    local from=$1 mac=$2
    shift 2
    lab_in "$from" "$LAB_TOOLS/netprobe" inject -m "$mac" "$@" || lab_fail "inject in $from: $*"
}

# inject FROM TO KIND PORT FAMILY [OPTION...]: frames whose label says all that.
inject() {
    local from=$1 to=$2 kind=$3 port=$4 family=$5
    shift 5
    send "$from" "$(where "$from" "$to")" -l "$kind-$port-$family" -o $((port ^ allowed ^ denied)) "$@" \
        "$kind" "$(lab_address "$from" "$family")" "$(lab_address "$to" "$family")" "$port"
}

# was_heard POD KIND PORT FAMILY: yes or no.
was_heard() {
    if grep -qx "heard $3 $2-$3-$4" "$LAB/out/heard-$1"; then echo yes; else echo no; fi
}

hear() {
    lab_background "$1" "heard-$1" "$LAB_TOOLS/netprobe" hear "$allowed" "$denied" 68 546
    heard_pids+=("$LAB_PID")
    eventually "$1 listens" 5 grep -q ready "$LAB/out/heard-$1"
}

lab_chain "$1" '{"exemptNamespaces": ["free"]}'
lab_object policies <<YAML
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: one-port, namespace: shop }
spec:
  podSelector: { matchLabels: { app: api } }
  ingress:
  - from: [ { podSelector: { matchLabels: { app: web } } } ]
    ports: [ { protocol: UDP, port: $allowed } ]
YAML
lab_swap
lab_daemon_start
lab_pods_add web api open
LAB_NAMESPACE=free lab_pods_add loose bait
learn_macs
heard_pids=()
hear api
hear open
hear bait

# both ends and the node know each other's MAC
lab_expect <<'TABLE'
api > web udp 53 ok
bait > loose udp 53 ok
node > api icmp 0 ok
node > open icmp 0 ok
node > bait icmp 0 ok
web > open udp 53 ok
TABLE

# One line a kind: families, then heard at the denied port, at the allowed port, and between exempt
# pods (at the denied port).
kinds='
plain           46 no yes yes
vlan0           46 no no  yes
vlan00          46 no no  yes
vlan000         46 no no  yes
qinq00          46 no no  yes
snap            46 no no  no
options         4  no yes yes
extensions      6  no yes yes
many-extensions 6  no no  yes
fragments       46 no yes yes
reversed        46 no no  yes
tiny            46 no yes yes
other-first     46 no yes no
other-second    46 no no  yes
atomic          6  no yes yes
nested          6  no no  no
'

lab_say "datagrams that are more than they seem"
while read -r kind families _; do
    for family in 4 6; do
        [[ $families = *$family* ]] || continue
        inject web api "$kind" "$denied" "$family"
        inject web api "$kind" "$allowed" "$family"
        inject loose bait "$kind" "$denied" "$family"
    done
done < <(grep . <<<"$kinds")
inject web api plain "$allowed" 4 -l last
eventually "the last one is heard" 5 grep -q ' last$' "$LAB/out/heard-api"
wrong=0
while read -r kind families at_denied at_allowed unfiltered; do
    for family in 4 6; do
        [[ $families = *$family* ]] || continue
        measured="$(was_heard api "$kind" "$denied" "$family") $(was_heard api "$kind" "$allowed" "$family") $(was_heard bait "$kind" "$denied" "$family")"
        [ "$measured" = "$at_denied $at_allowed $unfiltered" ] || {
            printf 'FAIL: %s over IPv%s: heard %s, expected %s %s %s\n' "$kind" "$family" "$measured" \
                "$at_denied" "$at_allowed" "$unfiltered" >&2
            wrong=$((wrong + 1))
        }
    done
done < <(grep . <<<"$kinds")
[ "$wrong" -eq 0 ] || lab_fail "$wrong kinds not as expected"

# The datagrams of one attacker to one listener arrive in order, so this one is the last.
# heard_after FROM TO LABEL: was the label heard at all, once a lawful datagram has come through?
heard_after() {
    local mark=mark-$RANDOM
    send "$1" "$(where "$1" "$2")" -l "$mark" plain "$(lab_address "$1" 4)" "$(lab_address "$2" 4)" "$allowed"
    eventually "$2 hears $1" 5 grep -q " $mark\$" "$LAB/out/heard-$2"
    if grep -q " $3\$" "$LAB/out/heard-$2"; then echo yes; else echo no; fi
}

lab_say "DHCP answers, to a pod that no policy selects"
for line in "4 67 68" "6 547 546"; do
    read -r family server client <<<"$line"
    inject web open plain "$client" "$family" -s "$server" -l "dhcp$family"
    expect_equal "open hears an answer of web over IPv$family" "$(heard_after web open "dhcp$family")" no
    inject loose bait plain "$client" "$family" -s "$server" -l "dhcp$family"
    expect_equal "bait hears an answer of loose over IPv$family" "$(heard_after loose bait "dhcp$family")" yes
done

lab_say "forged sources"
for family in 4 6; do
    for as in api gateway outside; do
        send web "$(where web open)" -l "as-$as-$family" plain \
            "$(lab_address "$as" "$family")" "$(lab_address open "$family")" "$denied"
        expect_equal "open hears web as $as over IPv$family" "$(heard_after web open "as-$as-$family")" no
    done
    # a router drops most of them by itself
    send loose "$(where loose bait)" -l "as-api-$family" plain \
        "$(lab_address api "$family")" "$(lab_address bait "$family")" "$denied"
    [ "$LAB_CHAIN" != bridge ] ||
        expect_equal "bait hears loose as api over IPv$family" "$(heard_after loose bait "as-api-$family")" yes
done

lab_say "martians: the node's loopback, with route_localnet as Calico and kube-proxy set it"
sysctl -qw net.ipv4.conf.all.route_localnet=1
lab_background node heard-node "$LAB_TOOLS/netprobe" hear "$allowed" "$denied"
eventually "the node listens" 5 grep -q ready "$LAB/out/heard-node"
node_pid=$LAB_PID
for from in web loose; do
    send "$from" "${gateway_mac[$from]}" -l "loopback-$from" plain "$(lab_address "$from" 4)" 127.0.0.1 "$denied"
    send "$from" "${gateway_mac[$from]}" -l "known-$from" plain "$(lab_address "$from" 4)" "$(lab_address node 4)" "$denied"
    eventually "the node hears $from" 5 grep -q " known-$from\$" "$LAB/out/heard-node"
done
expect_equal "loopback hears" "$(grep -o 'loopback-.*' "$LAB/out/heard-node")" loopback-loose
kill "$node_pid"

# neighbour WHO ADDRESS: the MAC in its table.
neighbour() {
    lab_in "$1" ip -j neigh show to "$2" | jq -r '[.[].lladdr // empty][0] // ""'
}

lab_say "ARP and neighbour discovery: whose MAC is it?"
for victim in api bait node; do
    for link in eth0 $([ "$victim" = node ] && bridge_link); do
        lab_in "$victim" sysctl -qw "net.ipv4.neigh.$link.locktime=0"
    done
done
# attacker, victim, whose address is claimed, and whether the table changes on a bridge
while read -r from victim claim poisoned; do
    for line in "4 arp" "6 advertisement"; do
        read -r family kind <<<"$line"
        address=$(lab_address "$claim" "$family")
        before=$(neighbour "$victim" "$address")
        [ -n "$before" ] || lab_fail "$victim knows no MAC of $claim over IPv$family"
        mac=$(where "$from" "$victim")
        send "$from" "$mac" -c "$address" "$kind" "$(lab_address "$from" "$family")" \
            "$(lab_address "$([ "$victim" = node ] && echo gateway || echo "$victim")" "$family")" 1
        sleep 0.1
        after=$(neighbour "$victim" "$address")
        [ "$poisoned/$LAB_CHAIN" != yes/bridge ] || before=${pod_mac[$from]}
        expect_equal "$claim in the table of $victim after $kind of $from" "$after" "$before"
    done
done <<'TABLE'
web api gateway no
web node api no
web node open no
loose bait gateway yes
loose node bait yes
TABLE

lab_say "router advertisements"
all_nodes=33:33:00:00:00:01
link_local() {
    ip -n "$1" -j -6 addr show dev eth0 scope link | jq -r '[.[].addr_info[]?.local // empty][0]'
}
learnt() {
    ip -n "$1" -6 addr show dev eth0 | grep -o "$2[^ ]*" || true
    ip -n "$1" -6 route | grep -o "via $(link_local "$3") .* proto ra" || true
}
for pod in api open bait; do
    lab_in "$pod" sysctl -qw net.ipv6.conf.eth0.accept_ra=2
done
for kind in router router-behind-options; do
    send web "$all_nodes" -c 2001:db8:bad:: "$kind" "$(link_local web)" ff02::1 1
done
sleep 0.3
for pod in api open; do
    expect_equal "what $pod has learnt of web" "$(learnt "$pod" 2001:db8:bad: web)" ""
done
send loose "$all_nodes" -c 2001:db8:bad:: router "$(link_local loose)" ff02::1 1
[ "$LAB_CHAIN" != bridge ] || eventually "bait believes loose" 5 believes bait loose

kill "${heard_pids[@]}"
lab_end
