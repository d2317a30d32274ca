#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# nat.sh bridge|ptp tcx|clsact iptables|nft [same-node|plain]: every way in which address translation changes a
# packet, on two nodes, by kube-proxy's own rules and portmap's: the true source decides. Rows that end in
# "gap" say what is not done yet: they are shown, and one that works after all fails the test until its mark
# is taken away. plain: without the kernel's structs; what is expected otherwise then is in nat-plain.table.
# shellcheck disable=SC2034 # of lab-traffic.sh: long enough for a busy machine and a SYN sent again
LAB_TIMEOUT_MS=3000
# shellcheck disable=SC2034
LAB_GAP=1000
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
declare -A host_port=([ya]=8081 [na]=8082)

# pods_new NAME...: sandboxes and objects.
pods_new() {
    local pod
    for pod in "$@"; do
        lab_pod_new "$pod"
        lab_pod_object "$pod" "app=$pod"
    done
}

# pods_attach NAME...: ADD with the hostPorts; the object gets the addresses; servers.
pods_attach() {
    local pod mappings
    for pod in "$@"; do
        mappings=$(jq -nc --arg port "${host_port[$pod]:-}" '{portMappings: [$port | select(. != "") |
            {hostPort: tonumber, containerPort: 8080, protocol: "tcp"}]}')
        lab_pod_attach "$pod" --capabilities "$mappings" || lab_fail "ADD of $pod: $(cat "$LAB/out/$pod")"
        lab_pod_object "$pod" "app=$pod"
        lab_pod_serve "$pod"
    done
}

# The table with those rows of nat-plain.table in place of its own.
plain_table() {
    awk '/^#/ { next }
         { row = $1 " " $3 " " $4 " " $5 }
         NR == FNR { instead[row] = $0; next }
         { print row in instead ? instead[row] : $0; delete instead[row] }
         END { for (row in instead) { print "no row " row >"/dev/stderr"; exit 1 } }' \
        "$data/nat-plain.table" "$LAB/table" >"$LAB/table.plain"
    mv "$LAB/table.plain" "$LAB/table"
}

lab_say "two nodes, pods through $1, filters by $2, kube-proxy's rules for $3"
lab_second_node
lab_node_objects
lab_chain "$1"
lab_on node2 lab_chain "$1"
pods_new client strict ya na wa
lab_on node2 pods_new remote yb nb
lab_swap
case ${4:-} in
    same-node) LAB_DAEMON_OPTIONS="--same-node on" ;;
    plain) LAB_DAEMON_OPTIONS="--kernel-structs off" ;;
esac
lab_daemon_start --attach "$2"
lab_on node2 lab_daemon_start --attach "$2"
pods_attach client strict ya na wa
lab_on node2 pods_attach remote yb nb
lab_fabric
lab_services <"$data/nat.services"
lab_service_objects
lab_proxy "$3"
lab_on node2 lab_proxy "$3"
outside=$(lab_in outside "$LAB_TOOLS/netprobe" serve tcp:8080)
servers=()
for pod in ya wa; do
    lab_background "$pod" "push-$pod" "$LAB_SOURCE/test/e2e/push.py" serve 8090
    servers+=("$LAB_PID")
done
lab_outside_ready

[ "$2" = tcx ] && filters="1 1 0 0" || filters="0 0 1 1"
expect_equal "filters on the veth of ya" "$(lab_filters "$(lab_host_veth ya)")" "$filters"
expect_equal "filters on the veth of yb" "$(lab_on node2 lab_filters "$(lab_on node2 lab_host_veth yb)")" "$filters"

if [ "${4:-}" = same-node ]; then
    eventually "the pods are on the same-node path" 10 lab_path_is true client strict ya na wa
    lab_on node2 eventually "those of node2 too" 10 lab_path_is true remote yb nb
fi

lab_say "no policy: all that kube-proxy and portmap serve is reached"
cat "$data/nat.table" "$data/nat-$1.table" >"$LAB/table"
lab_publish
sed -E 's/ (deny|ok)( gap)?$/ ok/' "$LAB/table" | lab_expect
for family in 4 6; do
    expect_equal "source of the client's datagram outside, over IPv$family" \
        "$(lab_sources outside 9 lab_try client "udp,$(lab_address outside "$family"),9")" "$(lab_address node "$family")"
done

lab_say "with policies the true source decides"
lab_object policies <"$data/nat.yaml"
lab_publish
[ "${4:-}" != plain ] || plain_table
grep -v ' gap$' "$LAB/table" | lab_expect
lab_expect_gaps < <(sed -n 's/ gap$//p' "$LAB/table")

lab_say "whom the other node has sent on is counted with it"
expect_match "status" "$(lab_ctl status)" 'lab-node2 +[1-9]'
expect_equal "from node2, allowed and denied" \
    "$(lab_ctl status -o json | jq -c '.pins.fromNodes[] | [.node, .allowed > 0, .denied > 0]')" '["lab-node2",true,true]'

# The answers of a masqueraded connection leave the pod before anybody can see whose it is: judging it
# again because policy has changed must not depend on who speaks next.
lab_say "masquerading and policies that change"
declare -A reader=()
for family in 4 6; do
    for port in 30041 30042; do
        name=read-$family-$port
        reads=outside
        [ "${4:-}$port" != plain30041 ] || reads=client # ya does not know who is outside
        lab_background "$reads" "$name" "$LAB_SOURCE/test/e2e/push.py" read "$(lab_address node "$family")" "$port"
        reader[$name]=$LAB_PID
    done
done
# Answers of a connection that is translated go back the way that translates them, all of them.
lab_stream tcp4 client ya.cluster tcp 80 4
lab_stream tcp6 client ya.cluster tcp 80 6
lab_stream datagrams client ya-udp.cluster udp 53 4
for name in "${!reader[@]}"; do
    eventually "$name knows" 10 grep -q . "$LAB/out/$name"
done
for number in 1 2 3 4 5 6; do
    sed "s/name: \(true-sources\|world\)/name: \1-$number/; s/ 192.0.2.100.32 }/&\n        - ipBlock: { cidr: 198.18.$number.0\/24 }/" \
        "$data/nat.yaml" | lab_object policies
    lab_publish
done
sleep 4.5 # longer than a reader waits
for name in tcp4 tcp6 datagrams; do
    expect_equal "what happened to the stream $name" "$(grep -v '^start' "$LAB/out/$name" || true)" ""
    kill -0 "${LAB_STREAM[$name]}"
    lab_stream_stop "$name"
done
for name in "${!reader[@]}"; do
    kill "${reader[$name]}" 2>/dev/null || true
    status=0
    wait "${reader[$name]}" || status=$?
    case $(tr '\n' ' ' <"$LAB/out/$name")/$status in
        open*/0) ;;
        open*) lab_fail "$name was cut: $(cat "$LAB/out/$name")" ;;
        *) lab_fail "$name: $(cat "$LAB/out/$name")" ;;
    esac
done

kill "$outside" "${servers[@]}"
lab_end
