#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# outside.sh bridge|ptp tcx|clsact [plain]: somebody beside the node sends with the address of a pod of this
# node as its source, and is not taken for it: not by policy, not as one of the pod's connections, not
# through a node port, whatever the node's reverse path filter thinks of it. The pod itself gets through.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/lab.sh"
# shellcheck source=test/e2e/lab-services.sh
source "$LAB_SOURCE/test/e2e/lab-services.sh"
# shellcheck source=test/e2e/lab-proxy.sh
source "$LAB_SOURCE/test/e2e/lab-proxy.sh"
lab_enter "$@"

port=7000 answers=7001 spoken=40001 asked=5999

# forge LABEL AS FAMILY TO PORT [OPTION...]: outside sends a datagram with the address of AS.
forge() {
    local label=$1 as=$2 family=$3 to=$4 port=$5
    shift 5
    lab_in outside "$LAB_TOOLS/netprobe" inject -m "$uplink" -l "$label" "$@" \
        "${kind:-plain}" "$(lab_address "$as" "$family")" "$(lab_address "$to" "$family")" "$port" || lab_fail "inject"
}

# say LABEL FROM FAMILY TO PORT SOURCE-PORT [SIZE]: a pod sends a datagram as anybody does.
say() {
    lab_in "$2" python3 - "$1" "$(lab_address "$4" "$3")" "$5" "$6" "${7:-0}" <<'PYTHON'
import socket, sys
label, to, port, source, size = sys.argv[1:]
family = socket.AF_INET6 if ":" in to else socket.AF_INET
sender = socket.socket(family, socket.SOCK_DGRAM)
sender.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
sender.bind(("", int(source)))
sender.sendto(label.encode() + b"\0" * int(size), (to, int(port)))
PYTHON
}

heard() {
    grep -q "heard [0-9]* $1\$" "$LAB/out/at-api"
}

# hears LABEL COMMAND...: is allowed, so it gets there.
hears() {
    local label=$1
    shift
    "$1" "$label" "${@:2}"
    eventually "api hears $label" 5 heard "$label"
}

wrong=0
# deaf LABEL...: they have not got there, though something that was sent later has.
deaf() {
    local label
    for label in "$@"; do
        if heard "$label"; then
            echo "FAIL: api hears outside: $label" >&2
            wrong=$((wrong + 1))
        fi
    done
}

# The MAC that api sends to when it sends to db.
next_hop() {
    if [ "$LAB_CHAIN" = bridge ]; then
        ip -n db -j link show dev eth0 | jq -r '.[0].address'
    else
        ip -j link show dev "$(lab_host_veth api)" | jq -r '.[0].address'
    fi
}

gateway_mac() {
    local device=cni0
    [ "$LAB_CHAIN" = bridge ] || device=$(lab_host_veth api)
    ip -j link show dev "$device" | jq -r '.[0].address'
}

# bridge_is POD NAME: the data path knows that its interface is a port of that bridge; -: of none.
bridge_is() {
    local index=0
    [ "$2" = - ] || index=$(lab_ifindex "$2")
    [ "$(bpftool -j map dump pinned "$LAB_BPFFS/$LAB_LAYOUT/maps/endpoints" |
        jq ".[].formatted | select(.key == $(lab_ifindex "$(lab_host_veth "$1")")) | .value.bridge")" = "$index" ]
}

lab_chain "$1"
lab_object policies <<'YAML'
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: web-only, namespace: shop }
spec:
  podSelector: { matchLabels: { app: api } }
  ingress:
  - from: [ { podSelector: { matchLabels: { app: web } } } ]
  - from: [ { ipBlock: { cidr: 192.0.2.200/32 } }, { ipBlock: { cidr: "2001:db8:2::200/128" } } ]
YAML
lab_swap
plain=
if [ "${3:-}" = plain ]; then
    plain=yes LAB_DAEMON_OPTIONS="--kernel-structs off"
fi
lab_daemon_start --attach "$2"
lab_pods_add web api db
if [ "$1" = bridge ]; then
    bridge_is web cni0 || lab_fail "ADD has not written the bridge of web"
    ip link set "$(lab_host_veth db)" nomaster
    eventually "podfenced sees that db has left its bridge" 10 bridge_is db -
    ip link set "$(lab_host_veth db)" master cni0
    eventually "podfenced sees that db is back on its bridge" 10 bridge_is db cni0
else
    bridge_is web - || lab_fail "web is said to be on a bridge"
fi
lab_services <<SERVICES
api udp $port $port 30070 Cluster api
SERVICES
lab_service_objects
lab_publish
lab_proxy iptables
lab_background api at-api "$LAB_TOOLS/netprobe" hear "$port" "$answers"
listener=$LAB_PID
eventually "api listens" 5 grep -q ready "$LAB/out/at-api"
uplink=$(ip -j link show dev eth0 | jq -r '.[0].address')

# Of each kind one that is allowed comes last, and they arrive in order.
# everything FAMILY ROUND
everything() {
    local f=$1 r=$1-$2 kind as to at i
    for kind in plain fragments; do
        for as in web outside; do
            forge "$as-$kind-$r" "$as" "$f" api "$port"
        done
        hears "excepted-$kind-$r" forge excepted "$f" api "$port"
        deaf "web-$kind-$r" "outside-$kind-$r"
    done
    kind=plain
    hears "big-$r" say web "$f" api "$port" 40009 3000
    # what the pod has opened, to api and through its node port, is not for others to go on with
    for to in api node api.cluster; do
        at=$port
        [ "$to" != node ] || at=30070
        hears "first-$to-$r" say web "$f" "$to" "$at" "$spoken"
        for i in 1 2; do
            forge "into-$to-$i-$r" web "$f" "$to" "$at" -s "$spoken"
            forge "beside-$to-$i-$r" web "$f" "$to" "$at" -s 4100$i
        done
        hears "later-$to-$r" say web "$f" "$to" "$at" "$spoken"
        deaf "into-$to-1-$r" "into-$to-2-$r" "beside-$to-1-$r" "beside-$to-2-$r"
    done
    # api has asked db, whom no rule allows to ask api
    lab_in api "$LAB_TOOLS/netprobe" inject -m "$(next_hop)" -s "$answers" plain \
        "$(lab_address api "$f")" "$(lab_address db "$f")" "$asked"
    for i in 1 2; do
        forge "answer-$i-$r" db "$f" api "$answers" -s "$asked"
    done
    hears "answered-$r" say db "$f" api "$answers" "$asked"
    deaf "answer-1-$r" "answer-2-$r"
    # and the node, of which nothing else is known without the kernel's structs
    [ "$plain" ] && return
    lab_in api "$LAB_TOOLS/netprobe" inject -m "$(gateway_mac)" -s "$answers" plain \
        "$(lab_address api "$f")" "$(lab_address gateway "$f")" "$asked"
    hears "node-$r" say node "$f" api "$answers" "$asked"
    for i in 1 2; do
        forge "node-answer-$i-$r" gateway "$f" api "$answers" -s "$asked"
    done
    hears "node-again-$r" say node "$f" api "$answers" "$asked"
    deaf "node-answer-1-$r" "node-answer-2-$r"
}

for switch in 1 0; do
    [ "$1" = bridge ] || [ "$switch" = 1 ] || continue
    sysctl -qw net.bridge.bridge-nf-call-iptables=$switch net.bridge.bridge-nf-call-ip6tables=$switch
    for filter in 0 2; do
        sysctl -qw "net.ipv4.conf.all.rp_filter=$filter" "net.ipv4.conf.eth0.rp_filter=$filter"
        for family in 4 6; do
            lab_say "bridge-nf-call $switch, rp_filter $filter, IPv$family"
            everything "$family" "$switch$filter"
        done
    done
done
kill "$listener"
[ "$wrong" -eq 0 ] || lab_fail "$wrong forged sources from outside"
lab_end
