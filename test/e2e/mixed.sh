#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# mixed.sh bridge|ptp tcx|clsact iptables|nft [plain|same-node]: services of whose backends policy allows some and
# others not. Who is asked decides, at the receiving pod or where the packet leaves the node: on this node,
# on another one by Flannel's VXLAN or by routes, outside behind masquerading. plain: without the kernel's
# structs, where nobody knows, such services are refused.
# shellcheck disable=SC2034 # of lab-traffic.sh: long enough for a busy machine and a SYN sent again
LAB_TIMEOUT_MS=2500
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/lab.sh"
# shellcheck source=test/e2e/lab-services.sh
source "$LAB_SOURCE/test/e2e/lab-services.sh"
# shellcheck source=test/e2e/lab-proxy.sh
source "$LAB_SOURCE/test/e2e/lab-proxy.sh"
# shellcheck source=test/e2e/lab-nodes.sh
source "$LAB_SOURCE/test/e2e/lab-nodes.sh"
lab_enter "$@"
[ "$3" != nft ] || command -v nft >/dev/null || lab_skip "no nft: run scripts/deps.sh"

data=$LAB_SOURCE/test/e2e/data
tries=24 # that all of them meet the same of two backends happens once in eight million runs
plain=
[ "${4:-}" != plain ] || plain=yes

# policy LABEL...: what strict may ask.
policy() {
    lab_object policies <<YAML
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: strict-out, namespace: $LAB_NAMESPACE }
spec:
  podSelector: { matchLabels: { app: strict } }
  policyTypes: [ Egress ]
  egress:
    - to:
        - podSelector: { matchExpressions: [ { key: app, operator: In, values: [ $(printf '%s, ' "$@") ] } ] }
        - ipBlock: { cidr: 192.0.2.100/32 }
        - ipBlock: { cidr: "2001:db8:2::100/128" }
YAML
    lab_publish
}

# expect_outcomes: lines "FROM > TO PROTO PORT EXPECTED", each over both families: how many of the tries were
# answered, some, all or none.
expect_outcomes() {
    local from arrow to proto port expected family target i
    local -A targets=() expects=()
    while read -r from arrow to proto port expected; do
        [ "$arrow" = '>' ] || lab_fail "table line of another form: $from $arrow $to"
        for family in 4 6; do
            target=$proto,$(lab_address "$to" "$family"),$port
            for ((i = 0; i < tries; i++)); do
                targets[$from]+=" $target"
            done
            expects[$from,$target]="$expected of $from > $to $proto $port over IPv$family"
        done
    done
    for from in "${!targets[@]}"; do
        # shellcheck disable=SC2086 # a list
        lab_try "$from" ${targets[$from]} >"$LAB/out/tries"
        while read -r target expected; do
            expect_equal "answered tries: ${expects[$from,$target]#* }" "$expected" "${expects[$from,$target]%% *}"
        done < <(awk -v tries="$tries" '{ ok[$2] += $1 == "ok" }
            END { for (target in ok) print target, ok[target] == tries ? "all" : ok[target] ? "some" : "none" }' "$LAB/out/tries")
    done
}

# What a pod has been asked so far: connections and datagrams.
asked() {
    lab_in "$1" cat /proc/net/snmp /proc/net/snmp6 | awk '
        $1 == "Tcp:" && $7 ~ /^[0-9]/ { sum += $7 }
        $1 == "Udp:" && $2 ~ /^[0-9]/ { sum += $2 }
        $1 == "Udp6InDatagrams" { sum += $2 }
        END { print sum + 0 }'
}

# until_open NAME ADDRESS PROTO: a reader that has met the one pod that pushes.
declare -A reader=()
until_open() {
    local port=82
    [ "$3" = tcp ] || port=83
    for ((count = 0; count < tries; count++)); do
        lab_background strict "$1" "$LAB_SOURCE/test/e2e/push.py" read "$2" "$port" "$3"
        reader[$1]=$LAB_PID
        for ((wait = 0; wait < 40; wait++)); do
            ! grep -qs open "$LAB/out/$1" || return 0
            sleep 0.02
        done
        kill "$LAB_PID" 2>/dev/null || true
    done
    lab_fail "$1: $(cat "$LAB/out/$1")"
}

# The devices of the node that have a filter where packets leave, but for those of pods.
guarded() {
    local link
    for link in $(ip -j link | jq -r '.[].ifname'); do
        if [[ $link != veth* && $(lab_filters "$link") != "0 0 0 0" ]]; then
            echo "$link"
        fi
    done | sort | tr '\n' ' '
}

guards_are() {
    [ "$(guarded)" = "$1" ]
}

lab_say "two nodes, pods through $1, filters by $2, kube-proxy's rules for $3 ${4:-}"
lab_second_node
lab_node_objects
lab_chain "$1"
lab_on node2 lab_chain "$1"
case ${4:-} in
    same-node) LAB_DAEMON_OPTIONS="--same-node on" ;;
    plain) LAB_DAEMON_OPTIONS="--kernel-structs off" ;;
esac
lab_swap
lab_daemon_start --attach "$2"
lab_on node2 lab_daemon_start --attach "$2"
lab_pods_add strict ya wa
lab_on node2 lab_pods_add yb wb
for pod in strict ya wa yb wb; do
    lab_pod_object "$pod" "app=$pod"
done
lab_fabric
lab_services <"$data/mixed.services"
lab_service_objects
lab_proxy "$3"
lab_on node2 lab_proxy "$3"
outside=$(lab_in outside "$LAB_TOOLS/netprobe" serve tcp:8080)
lab_publish
devices="cni0 eth0 flannel-v6.1 flannel.1 "
[ "$1" = bridge ] || devices="eth0 "

lab_say "no policy: all are asked, and no other device has a filter"
expect_outcomes <<TABLE
strict > here.cluster tcp 80 all
strict > away.cluster tcp 80 all
strict > world.cluster tcp 80 all
TABLE
[ "$(asked wa)" -gt 0 ] || lab_fail "wa was never asked"
[ "$(lab_on node2 asked wb)" -gt 0 ] || lab_fail "wb was never asked"
expect_equal "devices with a filter" "$(guarded)" ""

lab_say "a policy that tells backends apart"
policy ya yb
mixed=some wa_drops="EGRESS no-rule NetworkPolicy/shop/strict-out"
if [ "$plain" ]; then
    devices="" mixed=none wa_drops=""
fi
eventually "all devices have a filter" 20 guards_are "$devices"
lab_background node observe "$LAB_BIN/podfencectl" --bpffs "$LAB_BPFFS" --socket "$LAB_SOCKET" observe -f --verdict DROPPED -o json
observe=$LAB_PID
before="$(asked wa) $(lab_on node2 asked wb)"
expect_outcomes <<TABLE
strict > here.cluster tcp 80 $mixed
strict > here-udp.cluster udp 53 $mixed
strict > away.cluster tcp 80 $mixed
strict > away-sctp.cluster sctp 90 $mixed
strict > both.cluster tcp 80 $mixed
strict > world.cluster tcp 80 $mixed
strict > node tcp 30001 $mixed
strict > here.external tcp 80 $mixed
strict > node2 tcp 30001 none
strict > none.cluster tcp 80 none
strict > all.cluster tcp 80 all
strict > self.cluster tcp 80 $([ "$plain" ] && echo none || echo all)
TABLE
expect_equal "what wa and wb were asked by strict meanwhile" "$(asked wa) $(lab_on node2 asked wb)" "$before"
# nobody else is concerned
expect_outcomes <<<"ya > here.cluster tcp 80 all"
kill "$observe"
reasons=$(jq -r 'select(.destination.namespace == "shop" and .destination.pod_name == "wa") |
    "\(.traffic_direction) \(.reason) \(.policy)"' "$LAB/out/observe" | sort -u)
expect_equal "drops that name wa" "$reasons" "$wa_drops"

if [ ! "$plain" ]; then
    lab_say "a policy that changes cuts both directions of what had been let through"
    lab_background ya push "$LAB_SOURCE/test/e2e/push.py" serve 8090
    server=$LAB_PID
    for family in 4 6; do
        for proto in tcp udp; do
            service=push
            [ "$proto" = tcp ] || service=push-udp
            until_open "read-$proto-$family" "$(lab_address "$service.cluster" "$family")" "$proto"
        done
    done
    policy wa wb
    for name in "${!reader[@]}"; do
        wait "${reader[$name]}" && lab_fail "$name goes on"
        expect_match "$name" "$(tr '\n' ' ' <"$LAB/out/$name")" "^open timed out"
    done
    expect_outcomes <<<"strict > here.cluster tcp 80 some"
    kill "$server"

    lab_say "the daemon dead: still judged"
    lab_daemon_kill
    expect_outcomes <<<"strict > both.cluster tcp 80 some"
    before="$(asked ya) $(lab_on node2 asked yb)"
    expect_outcomes <<TABLE
strict > here.cluster tcp 80 some
strict > away.cluster tcp 80 some
TABLE
    expect_equal "what ya and yb were asked by strict meanwhile" "$(asked ya) $(lab_on node2 asked yb)" "$before"
    lab_daemon_start --attach "$2" --device-hooks off
    lab_say "--device-hooks off: refused, and nothing is left at other devices"
    eventually "no device has a filter" 10 guards_are ""
    expect_outcomes <<TABLE
strict > here.cluster tcp 80 none
strict > away.cluster tcp 80 none
TABLE
    lab_daemon_stop
    lab_daemon_start --attach "$2"
    eventually "all devices have a filter again" 20 guards_are "$devices"
fi

lab_say "no policy tells them apart any more"
lab_object_remove policies
lab_publish
eventually "no device has a filter" 10 guards_are ""
expect_outcomes <<<"strict > away.cluster tcp 80 all"
kill "$outside"
lab_end
