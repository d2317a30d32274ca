# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Services as kube-proxy serves them: the tables, chains, order and marks that its iptables and its
# nftables mode write (pkg/proxy/{iptables,nftables}/proxier.go), with plain names where it hashes.
#
#   lab_proxy iptables|nft             serve lab_services on this node, once

# shellcheck disable=SC2034 # by name
LAB_CLUSTER4=10.88.0.0/16 LAB_CLUSTER6=fd00:88::/48

# ---- iptables mode -------------------------------------------------------------------------------

# lab_rule CHAIN COMMENT MATCH...
lab_rule() {
    local chain=$1 comment=${2:+-m comment --comment \"$2\" }
    shift 2
    printf '%s\n' "-A $chain $comment$*"
}

# lab_iptables_spread CHAIN NAME FAMILY PORT POD...: one of the pods, each as often.
lab_iptables_spread() {
    local chain=$1 name=$2 family=$3 port=$4 left address
    shift 4
    left=$#
    while [ $# -gt 0 ]; do
        address=$(lab_socket "$1" "$family" "$port")
        if [ "$left" -gt 1 ]; then
            lab_rule "$chain" "$name -> $address" -m statistic --mode random --probability \
                "$(awk -v n="$left" 'BEGIN { printf "%.10f", 1 / n }')" -j "KUBE-SEP-${name##*/}-$1"
        else
            lab_rule "$chain" "$name -> $address" -j "KUBE-SEP-${name##*/}-$1"
        fi
        left=$((left - 1))
        shift
    done
}

# ADDRESS:PORT of a pod.
lab_socket() {
    if [ "$2" = 4 ]; then
        echo "$(lab_address "$1" 4):$3"
    else
        echo "[$(lab_address "$1" 6)]:$3"
    fi
}

# The pods of a list that are on this node.
lab_local_pods() {
    local pod
    for pod in "$@"; do
        [ "${LAB_POD_NODE[$pod]:-}" != "$LAB_NODE" ] || echo "$pod"
    done
}

# One service's part of the nat table. lab_iptables_service FAMILY NAME PROTO PORT TARGET NODEPORT TRAFFIC POD...
lab_iptables_service() {
    local family=$1 id=$2 proto=$3 port=$4 target=$5 nodeport=$6 traffic=$7 pod address
    local name=$LAB_NAMESPACE/$id cluster svc=KUBE-SVC-$2 ext=KUBE-EXT-$2 svl=KUBE-SVL-$2
    local -n pods_of=LAB_CLUSTER$family
    local -a locals=()
    shift 7
    cluster=$(lab_service_address "$id.cluster" "$family")
    mapfile -t locals < <(lab_local_pods "$@")
    lab_rule KUBE-SERVICES "$name cluster IP" -m "$proto" -p "$proto" -d "$cluster" --dport "$port" -j "$svc"
    lab_rule "$svc" "$name cluster IP" -m "$proto" -p "$proto" -d "$cluster" --dport "$port" ! -s "$pods_of" -j KUBE-MARK-MASQ
    lab_iptables_spread "$svc" "$name" "$family" "$target" "$@"
    for pod in "$@"; do
        lab_rule "KUBE-SEP-$id-$pod" "$name" -s "$(lab_address "$pod" "$family")" -j KUBE-MARK-MASQ
        lab_rule "KUBE-SEP-$id-$pod" "$name" -m "$proto" -p "$proto" -j DNAT --to-destination "$(lab_socket "$pod" "$family" "$target")"
    done
    [ "$nodeport" != - ] || return 0
    address=$(lab_service_address "$id.external" "$family")
    lab_rule KUBE-SERVICES "$name external IP" -m "$proto" -p "$proto" -d "$address" --dport "$port" -j "$ext"
    address=$(lab_service_address "$id.balancer" "$family")
    lab_rule KUBE-SERVICES "$name loadbalancer IP" -m "$proto" -p "$proto" -d "$address" --dport "$port" -j "$ext"
    lab_rule KUBE-NODEPORTS "$name" -m "$proto" -p "$proto" --dport "$nodeport" -j "$ext"
    if [ "$traffic" = Cluster ]; then
        lab_rule "$ext" "masquerade traffic for $name external destinations" -j KUBE-MARK-MASQ
        lab_rule "$ext" "" -j "$svc"
        return 0
    fi
    lab_rule "$ext" "pod traffic for $name external destinations" -s "$pods_of" -j "$svc"
    lab_rule "$ext" "masquerade LOCAL traffic for $name external destinations" -m addrtype --src-type LOCAL -j KUBE-MARK-MASQ
    lab_rule "$ext" "route LOCAL traffic for $name external destinations" -m addrtype --src-type LOCAL -j "$svc"
    if [ ${#locals[@]} -gt 0 ]; then
        lab_rule "$ext" "" -j "$svl"
        lab_iptables_spread "$svl" "$name" "$family" "$target" "${locals[@]}"
    fi
}

# A Local service without a pod here: nobody outside gets an answer.
lab_iptables_service_filter() {
    local family=$1 id=$2 proto=$3 port=$4 nodeport=$6 traffic=$7 kind
    local comment="$LAB_NAMESPACE/$2 has no local endpoints"
    shift 7
    [ "$traffic" = Local ] && [ "$nodeport" != - ] && [ -z "$(lab_local_pods "$@")" ] || return 0
    for kind in external balancer; do
        lab_rule KUBE-EXTERNAL-SERVICES "$comment" -m "$proto" -p "$proto" \
            -d "$(lab_service_address "$id.$kind" "$family")" --dport "$port" -j DROP
    done
    lab_rule KUBE-EXTERNAL-SERVICES "$comment" -m addrtype --dst-type LOCAL -m "$proto" -p "$proto" --dport "$nodeport" -j DROP
}

# A table with the chains that its rules name. lab_iptables_table TABLE < RULES
lab_iptables_table() {
    local rules
    rules=$(cat)
    printf '*%s\n' "$1"
    grep -oE 'KUBE-[A-Za-z0-9-]+' <<<"$rules" | sort -u | sed 's/.*/:& - [0:0]/'
    printf '%s\nCOMMIT\n' "$rules"
}

lab_iptables_rules() {
    local family=$1 service
    {
        lab_rule KUBE-FORWARD "" -m conntrack --ctstate INVALID -j DROP
        lab_rule KUBE-FORWARD "kubernetes forwarding rules" -m mark --mark 0x4000/0x4000 -j ACCEPT
        lab_rule KUBE-FORWARD "kubernetes forwarding conntrack rule" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
        for service in "${LAB_SERVICES[@]}"; do
            # shellcheck disable=SC2086 # a list
            lab_iptables_service_filter "$family" $service
        done
        lab_rule INPUT "kubernetes load balancer firewall" -m conntrack --ctstate NEW -j KUBE-PROXY-FIREWALL
        lab_rule INPUT "kubernetes health check service ports" -j KUBE-NODEPORTS
        lab_rule INPUT "kubernetes externally-visible service portals" -m conntrack --ctstate NEW -j KUBE-EXTERNAL-SERVICES
        lab_rule FORWARD "kubernetes load balancer firewall" -m conntrack --ctstate NEW -j KUBE-PROXY-FIREWALL
        lab_rule FORWARD "kubernetes forwarding rules" -j KUBE-FORWARD
        lab_rule FORWARD "kubernetes service portals" -m conntrack --ctstate NEW -j KUBE-SERVICES
        lab_rule FORWARD "kubernetes externally-visible service portals" -m conntrack --ctstate NEW -j KUBE-EXTERNAL-SERVICES
        lab_rule OUTPUT "kubernetes load balancer firewall" -m conntrack --ctstate NEW -j KUBE-PROXY-FIREWALL
        lab_rule OUTPUT "kubernetes service portals" -m conntrack --ctstate NEW -j KUBE-SERVICES
    } | lab_iptables_table filter
    {
        lab_rule KUBE-POSTROUTING "" -m mark ! --mark 0x4000/0x4000 -j RETURN
        lab_rule KUBE-POSTROUTING "" -j MARK --xor-mark 0x4000
        lab_rule KUBE-POSTROUTING "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully
        lab_rule KUBE-MARK-MASQ "" -j MARK --or-mark 0x4000
        for service in "${LAB_SERVICES[@]}"; do
            # shellcheck disable=SC2086 # a list
            lab_iptables_service "$family" $service
        done
        lab_rule KUBE-SERVICES "kubernetes service nodeports; NOTE: this must be the last rule in this chain" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
        printf '%s\n' '-I PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES'
        printf '%s\n' '-I OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES'
        printf '%s\n' '-I POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING'
    } | lab_iptables_table nat
}

# ---- nftables mode -------------------------------------------------------------------------------

# lab_nft_spread CHAIN SERVICE POD...: one of the pods, each as often.
lab_nft_spread() {
    local chain=$1 service=$2 i=0 map=
    shift 2
    local count=$#
    while [ $# -gt 0 ]; do
        map+="${map:+, }$i : goto endpoint-$service-$1"
        i=$((i + 1))
        shift
    done
    echo "add rule $LAB_TABLE $chain numgen random mod $count vmap { $map }"
}

# lab_nft_service FAMILY NAME PROTO PORT TARGET NODEPORT TRAFFIC POD...
lab_nft_service() {
    local family=$1 id=$2 proto=$3 port=$4 target=$5 nodeport=$6 traffic=$7 ip=ip pod cluster kind
    local -n pods_of=LAB_CLUSTER$family
    local -a locals=()
    shift 7
    [ "$family" = 4 ] || ip=ip6
    cluster=$(lab_service_address "$id.cluster" "$family")
    mapfile -t locals < <(lab_local_pods "$@")
    for pod in "$@"; do
        echo "add chain $LAB_TABLE endpoint-$id-$pod"
        echo "add rule $LAB_TABLE endpoint-$id-$pod $ip saddr $(lab_address "$pod" "$family") jump mark-for-masquerade"
        echo "add rule $LAB_TABLE endpoint-$id-$pod meta l4proto $proto dnat to $(lab_socket "$pod" "$family" "$target")"
    done
    echo "add chain $LAB_TABLE service-$id"
    echo "add rule $LAB_TABLE service-$id $ip daddr $cluster $ip saddr != $pods_of jump mark-for-masquerade"
    lab_nft_spread "service-$id" "$id" "$@"
    echo "add element $LAB_TABLE cluster-ips { $cluster }"
    echo "add element $LAB_TABLE service-ips { $cluster . $proto . $port : goto service-$id }"
    [ "$nodeport" != - ] || return 0
    echo "add chain $LAB_TABLE external-$id"
    if [ "$traffic" = Cluster ]; then
        echo "add rule $LAB_TABLE external-$id jump mark-for-masquerade"
        echo "add rule $LAB_TABLE external-$id goto service-$id"
    else
        echo "add rule $LAB_TABLE external-$id $ip saddr $pods_of goto service-$id comment \"short-circuit pod traffic\""
        echo "add rule $LAB_TABLE external-$id fib saddr type local jump mark-for-masquerade comment \"masquerade local traffic\""
        echo "add rule $LAB_TABLE external-$id fib saddr type local goto service-$id comment \"short-circuit local traffic\""
        [ ${#locals[@]} -eq 0 ] || lab_nft_spread "external-$id" "$id" "${locals[@]}"
    fi
    echo "add element $LAB_TABLE service-nodeports { $proto . $nodeport : goto external-$id }"
    for kind in external balancer; do
        echo "add element $LAB_TABLE service-ips { $(lab_service_address "$id.$kind" "$family") . $proto . $port : goto external-$id }"
        [ "$traffic" = Cluster ] || [ ${#locals[@]} -gt 0 ] ||
            echo "add element $LAB_TABLE no-endpoint-services { $(lab_service_address "$id.$kind" "$family") . $proto . $port : drop }"
    done
    [ "$traffic" = Cluster ] || [ ${#locals[@]} -gt 0 ] ||
        echo "add element $LAB_TABLE no-endpoint-nodeports { $proto . $nodeport : drop }"
}

lab_nft_rules() {
    local family=$1 ip=ip service LAB_TABLE type=ipv4_addr services=10.96.0.0/16
    [ "$family" = 4 ] || { ip=ip6 type=ipv6_addr services=fd00:96::/112; }
    LAB_TABLE="$ip kube-proxy"
    sed "s/TABLE/$LAB_TABLE/; s/TYPE/$type/; s/ADDR/$ip daddr/; s,SERVICES,$services," <<'NFT'
add table TABLE { comment "rules for kube-proxy" ; }
add set TABLE cluster-ips { type TYPE ; comment "Active ClusterIPs" ; }
add set TABLE nodeport-ips { type TYPE ; comment "IPs that accept NodePort traffic" ; }
add map TABLE firewall-ips { type TYPE . inet_proto . inet_service : verdict ; comment "destinations that are subject to LoadBalancerSourceRanges" ; }
add map TABLE no-endpoint-nodeports { type inet_proto . inet_service : verdict ; comment "vmap to drop or reject packets to service nodeports with no endpoints" ; }
add map TABLE no-endpoint-services { type TYPE . inet_proto . inet_service : verdict ; comment "vmap to drop or reject packets to services with no endpoints" ; }
add map TABLE service-ips { type TYPE . inet_proto . inet_service : verdict ; comment "ClusterIP, ExternalIP and LoadBalancer IP traffic" ; }
add map TABLE service-nodeports { type inet_proto . inet_service : verdict ; comment "NodePort traffic" ; }
add chain TABLE cluster-ips-check
add chain TABLE filter-prerouting-pre-dnat { type filter hook prerouting priority -110 ; }
add chain TABLE filter-output-pre-dnat { type filter hook output priority -110 ; }
add chain TABLE filter-forward { type filter hook forward priority 0 ; }
add chain TABLE filter-input { type filter hook input priority 0 ; }
add chain TABLE filter-output { type filter hook output priority 0 ; }
add chain TABLE firewall-check
add chain TABLE mark-for-masquerade
add chain TABLE masquerading
add chain TABLE nat-output { type nat hook output priority -100 ; }
add chain TABLE nat-postrouting { type nat hook postrouting priority 100 ; }
add chain TABLE nat-prerouting { type nat hook prerouting priority -100 ; }
add chain TABLE nodeport-endpoints-check
add chain TABLE reject-chain { comment "helper for @no-endpoint-services / @no-endpoint-nodeports" ; }
add chain TABLE services
add chain TABLE service-endpoints-check
add rule TABLE cluster-ips-check ADDR @cluster-ips reject comment "Reject traffic to invalid ports of ClusterIPs"
add rule TABLE cluster-ips-check ADDR { SERVICES } drop comment "Drop traffic to unallocated ClusterIPs"
add rule TABLE filter-prerouting-pre-dnat ct state new jump firewall-check
add rule TABLE filter-forward ct state new jump service-endpoints-check
add rule TABLE filter-forward ct state new jump cluster-ips-check
add rule TABLE filter-input ct state new jump nodeport-endpoints-check
add rule TABLE filter-input ct state new jump service-endpoints-check
add rule TABLE filter-output ct state new jump service-endpoints-check
add rule TABLE filter-output-pre-dnat ct state new jump firewall-check
add rule TABLE filter-output ct state new jump cluster-ips-check
add rule TABLE firewall-check ADDR . meta l4proto . th dport vmap @firewall-ips
add rule TABLE mark-for-masquerade mark set mark or 0x4000
add rule TABLE masquerading mark and 0x4000 == 0 return
add rule TABLE masquerading mark set mark xor 0x4000
add rule TABLE masquerading masquerade fully-random
add rule TABLE nat-output jump services
add rule TABLE nat-postrouting jump masquerading
add rule TABLE nat-prerouting jump services
add rule TABLE nodeport-endpoints-check ADDR @nodeport-ips meta l4proto . th dport vmap @no-endpoint-nodeports
add rule TABLE reject-chain reject
add rule TABLE services ADDR . meta l4proto . th dport vmap @service-ips
add rule TABLE services ADDR @nodeport-ips meta l4proto . th dport vmap @service-nodeports
add rule TABLE service-endpoints-check ADDR . meta l4proto . th dport vmap @no-endpoint-services
NFT
    echo "add element $LAB_TABLE nodeport-ips { $(lab_address "$LAB_NODE" "$family") }"
    for service in "${LAB_SERVICES[@]}"; do
        # shellcheck disable=SC2086 # a list
        lab_nft_service "$family" $service
    done
}

lab_proxy() {
    local family restore
    for family in 4 6; do
        [ "$family" = 4 ] && restore=iptables-restore || restore=ip6tables-restore
        if [ "$1" = iptables ]; then
            lab_iptables_rules "$family" >"$LAB_HOME/proxy-$family"
            lab_in "$LAB_NODE" "$restore" --noflush "$LAB_HOME/proxy-$family"
        else
            lab_nft_rules "$family" >"$LAB_HOME/proxy-$family"
            lab_in "$LAB_NODE" nft -f "$LAB_HOME/proxy-$family"
        fi
    done
}
