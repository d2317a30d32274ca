#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# marks.sh bridge|ptp tcx|clsact [MASK]: the bits of the packet mark that Calico, kube-proxy, portmap and
# Cilium own pass by podfence as they are, and what podfence writes (MASK, without the kernel's structs;
# none with them) stays out of them and makes nobody masquerade. With a MASK, some packet has to carry bits
# of it.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/lab.sh"
# shellcheck source=test/e2e/lab-services.sh
source "$LAB_SOURCE/test/e2e/lab-services.sh"
# shellcheck source=test/e2e/lab-proxy.sh
source "$LAB_SOURCE/test/e2e/lab-proxy.sh"
lab_enter "$@"

own=$((${3:-0}))
others=$((0xffffffff & ~own))
pins=$LAB/bpf/markseen

# both COMMAND...: in the mangle tables of both families.
both() {
    iptables -t mangle "$@"
    ip6tables -t mangle "$@"
}

# counted COMMENT: packets of the rules with that comment.
counted() {
    { iptables-save -c -t mangle; ip6tables-save -c -t mangle; } |
        sed -nE "s/^\[([0-9]+):.*--comment $1( .*)?\$/\1/p" | awk '{ sum += $1 } END { print sum + 0 }'
}

# The marks with which datagrams have left the node for a pod, without podfence's own bits.
marks_seen() {
    local mark
    for mark in $(bpftool -j map dump pinned "$pins-maps/marks" | jq '.[].formatted.key'); do
        printf '0x%x\n' $((mark & others))
    done | sort -u
}
marks_forget() {
    local key
    bpftool -j map dump pinned "$pins-maps/marks" | jq -r '.[].key | join(" ")' | while read -ra key; do
        bpftool map delete pinned "$pins-maps/marks" key "${key[@]}"
    done
}

# What everybody sets and looks at on the way. mark_rules BITS
mark_rules() {
    local chain bits others_hex own_hex
    bits=$(printf '0x%x' "$1") others_hex=$(printf '0x%x' "$others") own_hex=$(printf '0x%x' "$own")
    for chain in PREROUTING OUTPUT FORWARD POSTROUTING; do
        both -F "LOOK-$chain"
    done
    both -A LOOK-PREROUTING -m mark ! --mark "0/$others_hex" -m comment --comment foreign
    [ "$own" -eq 0 ] || both -A LOOK-PREROUTING -m mark ! --mark "0/$own_hex" -m comment --comment marked
    for chain in PREROUTING OUTPUT; do
        [ "$1" -eq 0 ] || both -A "LOOK-$chain" -j MARK --or-mark "$bits"
    done
    for chain in FORWARD POSTROUTING; do
        both -A "LOOK-$chain" -m mark ! --mark "$bits/$bits" -m comment --comment lost -j RETURN
        both -A "LOOK-$chain" -m comment --comment kept
    done
}

# traffic FAMILY: there and back, plain, through the ClusterIP and masqueraded, and from the node.
traffic() {
    local from target
    while read -r from target; do
        expect_equal "$from asks $target" "$(lab_try "$from" "$target")" "ok $target"
    done <<TRAFFIC
web udp,$(lab_address api "$1"),5353
web udp,$(lab_address api.cluster "$1"),53
web udp,$(lab_address node "$1"),30053
node udp,$(lab_address api "$1"),5353
TRAFFIC
}

[ "$own" -eq 0 ] || LAB_DAEMON_OPTIONS="--kernel-structs off --mark-mask $3"
lab_chain "$1"
sysctl -qw net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=1
lab_swap
lab_daemon_start --attach "$2"
lab_pods_add web api
lab_services <<'SERVICES'
api udp 53 5353 30053 Cluster api
SERVICES
lab_proxy iptables
for chain in PREROUTING FORWARD POSTROUTING OUTPUT; do
    both -N "LOOK-$chain"
    both -A "$chain" -p udp -j "LOOK-$chain"
done
bpftool prog load "$LAB_TOOLS/markseen.bpf.o" "$pins" pinmaps "$pins-maps"
for pod in web api; do
    veth=$(lab_host_veth "$pod")
    tc qdisc add dev "$veth" clsact 2>/dev/null || true
    tc filter add dev "$veth" egress prio 50000 bpf direct-action object-pinned "$pins"
done

while read -r owner bits; do
    bits=$((bits & others))
    lab_say "$owner has $(printf '0x%x' "$bits")"
    mark_rules "$bits"
    marks_forget
    for family in 4 6; do
        traffic "$family"
    done
    expect_equal "packets that already have bits of others" "$(counted foreign)" 0
    [ "$own" -eq 0 ] || [ "$(counted marked)" -gt 0 ] || lab_fail "no packet has bits of podfence's own"
    expect_equal "packets that lost bits of $owner" "$(counted lost)" 0
    [ "$(counted kept)" -ge 24 ] || lab_fail "only $(counted kept) packets were looked at"
    expect_equal "marks behind podfence's filters" "$(marks_seen)" "$(printf '0x%x' "$bits")"
done <<'OWNERS'
nobody 0
calico 0xffff0000
kube-proxy 0x8000
portmap 0x2000
cilium 0x0f00
everybody 0xffffaf00
OWNERS

lab_say "masquerading is for those whom kube-proxy marks"
for family in 4 6; do
    web=$(lab_address web "$family")
    while read -r way target source; do
        expect_equal "source at api, $way, over IPv$family" "$(lab_sources api 5353 lab_try web "$target")" "$source"
    done <<WAYS
plain udp,$(lab_address api "$family"),5353 $web
ClusterIP udp,$(lab_address api.cluster "$family"),53 $web
NodePort udp,$(lab_address node "$family"),30053 $(lab_address gateway "$family")
WAYS
done

for pod in web api; do
    tc filter del dev "$(lab_host_veth "$pod")" egress prio 50000
done
rm -r "$pins" "$pins-maps"
lab_end
