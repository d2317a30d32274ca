# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# A second node beside the first, on the same network as somebody outside; and how the pods of one
# reach the other: through Flannel's VXLAN (chain bridge) or by routes alone (ptp, as with Calico), with
# the masquerading that goes with each.
#
#   lab_second_node                    after lab_enter: node2, in a namespace of its own
#   lab_fabric                         after the first pods, which make cni0: routes and masquerading
#   lab_on node2 COMMAND...            as if node2 were the node (chain, daemon, pods)
#   lab_node_objects                   Node objects of both

# The switch between the nodes is a bridge in the namespace outside.
lab_second_node() {
    local to
    LAB_NODES+=(node2)
    mkdir -p "$LAB/node2"/{cache,ipam,state}
    ip netns add node2
    lab_impatient node2
    ip -n node2 link set lo up
    ip -n node2 link add eth0 type veth peer name eth1 netns outside
    ip -n outside link add switch type bridge
    lab_in outside sysctl -qw net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0
    ip -n outside address flush dev eth0
    for to in eth0 eth1; do
        ip -n outside link set "$to" up master switch
    done
    ip -n outside link set switch up
    lab_impatient_link outside switch
    for to in 192.0.2.100/24 192.0.2.200/24 2001:db8:2::200/64 2001:db8:2::100/64; do
        ip -n outside address add "$to" dev switch
    done
    ip -n node2 address add 192.0.2.2/24 dev eth0
    ip -n node2 address add 2001:db8:2::2/64 dev eth0
    ip -n node2 link set eth0 up
    lab_impatient_link node2 eth0
    lab_in node2 sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    ip -n outside route add default via 192.0.2.1
    ip -n outside -6 route replace default via 2001:db8:2::1
    ip -n outside route add 10.88.1.0/24 via 192.0.2.2
    ip -n outside route add fd00:88:0:1::/64 via 2001:db8:2::2
    # a node always has one: without, its own processes could not ask for a ClusterIP
    for to in node node2; do
        lab_in "$to" ip route add default via 192.0.2.100
        lab_in "$to" ip route add default via 2001:db8:2::100
        # as kubelet and the CNI's installer set it
        lab_in "$to" sysctl -qw net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=1
    done
}

# ADDRESS of a node in the underlay, or PREFIX of its pods, in family 4 or 6; INDEX as LAB_NODE_INDEX.
lab_underlay() {
    [ "$2" = 4 ] && echo "192.0.2.$(($1 + 1))" || echo "2001:db8:2::$(($1 + 1))"
}
lab_pod_prefix() {
    [ "$2" = 4 ] && echo "10.88.$1.0" || echo "fd00:88:0:$1::"
}

# Flannel's VXLAN backend: no learning; for each other node one neighbour, one forwarding entry and
# one route. lab_vxlan FAMILY: on both nodes.
lab_vxlan() {
    local family=$1 device=flannel.1 length=32 size=24 index other node
    local -a nodes=(node node2) macs=()
    [ "$family" = 4 ] || { device=flannel-v6.1 length=128 size=64; }
    for index in 0 1; do
        node=${nodes[index]}
        lab_in "$node" ip link add "$device" type vxlan id 1 dstport 8472 nolearning dev eth0 \
            local "$(lab_underlay "$index" "$family")"
        lab_in "$node" ip address add "$(lab_pod_prefix "$index" "$family")/$length" dev "$device"
        lab_in "$node" ip link set "$device" up
        macs[index]=$(lab_in "$node" ip -j link show dev "$device" | jq -r '.[0].address')
    done
    for index in 0 1; do
        node=${nodes[index]} other=$((1 - index))
        lab_in "$node" ip neigh replace "$(lab_pod_prefix "$other" "$family")" lladdr "${macs[other]}" dev "$device" nud permanent
        lab_in "$node" bridge fdb append "${macs[other]}" dev "$device" dst "$(lab_underlay "$other" "$family")"
        lab_in "$node" ip route replace "$(lab_pod_prefix "$other" "$family")/$size" \
            via "$(lab_pod_prefix "$other" "$family")" dev "$device" onlink
    done
}

# Flannel's masquerading (pkg/trafficmngr/iptables), or what Calico's natOutgoing comes to.
lab_masquerade() {
    local family=$1 iptables=iptables size=24 multicast=224.0.0.0/4 own
    local -n cluster=LAB_CLUSTER$family
    local -a comment=(-m comment --comment "flanneld masq")
    [ "$family" = 4 ] || { iptables=ip6tables size=64 multicast=ff00::/8; }
    own=$(lab_pod_prefix "$LAB_NODE_INDEX" "$family")/$size
    if [ "$LAB_CHAIN" != bridge ]; then
        lab_in "$LAB_NODE" "$iptables" -t nat -N cali-nat-outgoing
        lab_in "$LAB_NODE" "$iptables" -t nat -A cali-nat-outgoing -s "$cluster" ! -d "$cluster" -j MASQUERADE --random-fully
        lab_in "$LAB_NODE" "$iptables" -t nat -I POSTROUTING -j cali-nat-outgoing
        return
    fi
    lab_in "$LAB_NODE" "$iptables" -t nat -N FLANNEL-POSTRTG
    while read -ra rule; do
        lab_in "$LAB_NODE" "$iptables" -t nat -A FLANNEL-POSTRTG "${comment[@]}" "${rule[@]}"
    done <<RULES
-m mark --mark 0x4000/0x4000 -j RETURN
-s $own -d $cluster -j RETURN
-s $cluster -d $own -j RETURN
! -s $cluster -d $own -j RETURN
-s $cluster ! -d $multicast -j MASQUERADE --random-fully
! -s $cluster -d $cluster -j MASQUERADE --random-fully
RULES
    lab_in "$LAB_NODE" "$iptables" -t nat -A POSTROUTING "${comment[@]}" -j FLANNEL-POSTRTG
    lab_in "$LAB_NODE" "$iptables" -N FLANNEL-FWD
    lab_in "$LAB_NODE" "$iptables" -A FLANNEL-FWD -s "$cluster" -j ACCEPT
    lab_in "$LAB_NODE" "$iptables" -A FLANNEL-FWD -d "$cluster" -j ACCEPT
    lab_in "$LAB_NODE" "$iptables" -A FORWARD -j FLANNEL-FWD
}

lab_fabric() {
    local family size
    for family in 4 6; do
        [ "$family" = 4 ] && size=24 || size=64
        if [ "$LAB_CHAIN" = bridge ]; then
            lab_vxlan "$family"
        else
            lab_in node ip route add "$(lab_pod_prefix 1 "$family")/$size" via "$(lab_underlay 1 "$family")"
            lab_in node2 ip route add "$(lab_pod_prefix 0 "$family")/$size" via "$(lab_underlay 0 "$family")"
        fi
        lab_on node lab_masquerade "$family"
        lab_on node2 lab_masquerade "$family"
    done
}

lab_node_objects() {
    local index
    local -a nodes=(node node2)
    for index in 0 1; do
        lab_object "${nodes[index]}" <<YAML
apiVersion: v1
kind: Node
metadata: { name: lab-${nodes[index]} }
spec: { podCIDR: 10.88.$index.0/24, podCIDRs: [ 10.88.$index.0/24, "fd00:88:0:$index::/64" ] }
status:
  addresses:
  - { type: InternalIP, address: $(lab_underlay $index 4) }
  - { type: InternalIP, address: "$(lab_underlay $index 6)" }
YAML
    done
}
