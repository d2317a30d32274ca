# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# A node for one test, sourced by the tests and by scripts/demo.sh. The node is a set of own
# namespaces (mount, network, pid) with its own /run, bpffs and runtime, so that tests run side by
# side and nothing on the machine is touched; when its first process ends, all of it is gone.
#
#   source lab.sh; lab_enter "$@"      go on inside the node
#   lab_chain bridge|ptp [ENTRY]       the conflist; ENTRY: more keys of podfence's entry, JSON
#   lab_daemon_start [OPTION...]       podfenced, ready
#   lab_pod_add NAME [LABEL=VALUE...]  Pod object and ADD through the chain
#   lab_expect <<< "web > api tcp 8080 ok"   real traffic over IPv4 and IPv6
#   lab_end                            delete all and prove that nothing is left
#
# lab-services.sh and lab-proxy.sh (Services as kube-proxy serves them), lab-nodes.sh (a second node) and
# lab-shop.sh (eight services in three namespaces) are sourced by those who want them; lab_on NODE COMMAND...
# does it on that node.
set -euo pipefail

LAB_SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
LAB_BUILD=${FENCE_BUILD:-$LAB_SOURCE/build}
LAB_BIN=$LAB_BUILD/bin
LAB_TOOLS=$LAB_BUILD/test
LAB=/run/podfence-lab # inside the node's own /run
LAB_BPFFS=${LAB_BPFFS:-$LAB/bpf/podfence}
LAB_LAYOUT=v$(sed -n 's/^#define FENCE_ABI_VERSION //p' "$LAB_SOURCE/bpf/abi.h")
LAB_SOCKET=${LAB_SOCKET:-$LAB/podfenced.sock}
LAB_BPFFS_FIRST=$LAB_BPFFS
LAB_SOCKET_FIRST=$LAB_SOCKET
LAB_CNI_DIR=/usr/lib/cni
LAB_NAMESPACE=shop
LAB_QUIET=${LAB_QUIET:-}
LAB_DAEMON_PID=
# What is another node's is set by lab_on (lab-nodes.sh adds one).
LAB_NODE=node
LAB_NODE_INDEX=0
LAB_HOME=$LAB
LAB_NODES=(node)
declare -A LAB_DAEMONS=()
LAB_UNSHARE=(unshare --mount --net --pid --fork --kill-child --mount-proc --propagation private)

# shellcheck source=test/e2e/lab-objects.sh
source "$LAB_SOURCE/test/e2e/lab-objects.sh"
# shellcheck source=test/e2e/lab-pods.sh
source "$LAB_SOURCE/test/e2e/lab-pods.sh"
# shellcheck source=test/e2e/lab-traffic.sh
source "$LAB_SOURCE/test/e2e/lab-traffic.sh"

lab_say() {
    [ -n "$LAB_QUIET" ] || printf '%s\n' "-- $*"
}

# Ends the test: what is wrong, and what the daemon said.
lab_fail() {
    trap - ERR
    printf 'FAIL: %s\n' "$*" >&2
    local i
    for ((i = 1; i < ${#FUNCNAME[@]} - 1; i++)); do
        printf '  at %s:%s %s\n' "${BASH_SOURCE[i]##*/}" "${BASH_LINENO[i - 1]}" "${FUNCNAME[i]}" >&2
    done
    if [ -s "$LAB_HOME/daemon.log" ]; then
        printf '%s\n' '  last lines of podfenced:' >&2
        tail -n 15 "$LAB_HOME/daemon.log" >&2
    fi
    exit 1
}

lab_skip() {
    printf 'skipped: %s\n' "$*" >&2
    exit 77
}

# expect_equal WHAT MEASURED EXPECTED
expect_equal() {
    [ "$2" = "$3" ] || lab_fail "$1: measured '$2', expected '$3'"
}

# expect_match WHAT TEXT PATTERN (extended regular expression)
expect_match() {
    [[ $2 =~ $3 ]] || lab_fail "$1: '$2' does not match '$3'"
}

# eventually WHAT SECONDS COMMAND...
eventually() {
    local what=$1 end=$((SECONDS + $2))
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -le "$end" ] || lab_fail "$what did not happen in time: $*"
        sleep 0.02
    done
}

# ---- the node ------------------------------------------------------------------------------------

lab_enter() {
    if [ -z "${LAB_INSIDE:-}" ]; then
        [ "$(id -u)" -eq 0 ] || lab_skip "needs root"
        [ -x "$LAB_CNI_DIR/bridge" ] || lab_skip "no CNI plugins in $LAB_CNI_DIR: run scripts/deps.sh"
        [ -x "$LAB_BIN/podfence" ] || {
            echo "no $LAB_BIN/podfence: run scripts/build.sh" >&2
            exit 1
        }
        LAB_INSIDE=1 exec "${LAB_UNSHARE[@]}" "$BASH" "$0" "$@"
    fi
    LAB_NAME=$(basename "$0" .sh)
    trap 'lab_fail "line $LINENO: $BASH_COMMAND ended with $?"' ERR
    trap lab_exit EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    set -E
    lab_node
}

lab_exit() {
    local status=$?
    trap - ERR EXIT
    # the first process of the pid namespace: the kernel ends all others with it
    umount -l "$LAB/bpf" 2>/dev/null || true
    exit "$status"
}

# An uplink to somebody outside, a routing table and nothing else: the rest is the chain's doing.
lab_node() {
    mount -t tmpfs tmpfs /run
    mount -t tmpfs tmpfs /var/lib # libcni's cache, the daemon's state
    mkdir -p /run/netns "$LAB"/{bpf,cache,ipam,stage,state,out}
    mount -t bpf bpf "$LAB/bpf"
    ip link set lo up
    sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    lab_impatient node
    ip netns add outside
    lab_impatient outside
    ip link add eth0 type veth peer name eth0 netns outside
    ip addr add 192.0.2.1/24 dev eth0
    ip addr add 2001:db8:2::1/64 dev eth0
    ip link set eth0 up
    ip -n outside addr add 192.0.2.100/24 dev eth0
    ip -n outside addr add 192.0.2.200/24 dev eth0
    ip -n outside addr add 2001:db8:2::100/64 dev eth0
    ip -n outside addr add 2001:db8:2::200/64 dev eth0
    ip -n outside link set eth0 up
    ip -n outside link set lo up
    lab_impatient_link node eth0
    lab_impatient_link outside eth0
    ip -n outside route add default via 192.0.2.1
    ip -n outside route add default via 2001:db8:2::1
}

# The kernel takes up to a second to announce a new link: not a test's business.
lab_outside_ready() {
    local to
    for to in 192.0.2.100 2001:db8:2::100 2001:db8:2::200; do
        eventually "outside answers" 5 lab_answers node "icmp,$to,0"
    done
}

lab_answers() {
    [[ $(LAB_TIMEOUT_MS=100 lab_try "$1" "$2") = ok* ]]
}

# Duplicate address detection would cost each pod a second or two.
lab_impatient() {
    lab_in "$1" sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0
}

# A solicitation that is lost while a link comes up is sent again soon. lab_impatient_link WHERE LINK
lab_impatient_link() {
    lab_in "$1" sysctl -qw "net.ipv6.neigh.$2.retrans_time_ms=100" \
        "net.ipv4.neigh.$2.retrans_time_ms=100"
}

# Run something in a pod's network, or in the node's own.
lab_in() {
    local where=$1
    shift
    if [ "$where" = node ]; then
        "$@"
    else
        nsenter --net="/run/netns/$where" -- "$@"
    fi
}

# lab_on NODE COMMAND...: as if NODE were the node.
lab_on() {
    local LAB_NODE=$1 LAB_NODE_INDEX=0 LAB_HOME=$LAB LAB_BPFFS=$LAB/bpf/$1 LAB_SOCKET=$LAB/$1/podfenced.sock
    local LAB_DAEMON_PID=${LAB_DAEMONS[$1]:-}
    if [ "$1" = node ]; then
        LAB_BPFFS=$LAB_BPFFS_FIRST LAB_SOCKET=$LAB_SOCKET_FIRST
    else
        LAB_NODE_INDEX=1 LAB_HOME=$LAB/$1
    fi
    shift
    "$@"
}

# lab_background WHERE NAME COMMAND...: output into out/NAME, pid in LAB_PID (its own: nsenter becomes
# the command).
lab_background() {
    local where=$1 out=$LAB/out/$2
    shift 2
    rm -f "$out" # or somebody would read what an earlier one wrote
    if [ "$where" = node ]; then
        "$@" >"$out" 2>&1 &
    else
        nsenter --net="/run/netns/$where" -- "$@" >"$out" 2>&1 &
    fi
    LAB_PID=$!
}

# ---- the chain -----------------------------------------------------------------------------------

# lab_ipam ROUTE...
lab_ipam() {
    jq -n --arg dir "$LAB_HOME/ipam" --arg index "$LAB_NODE_INDEX" '{
        type: "host-local", dataDir: $dir,
        ranges: [[{subnet: "10.88.\($index).0/24"}], [{subnet: "fd00:88:0:\($index)::/64"}]],
        routes: [$ARGS.positional[] | {dst: .}]}' --args "$@"
}

# lab_entry [JSON]: podfence's entry of the chain with this lab's paths.
lab_entry() {
    jq -n --arg bpffs "$LAB_BPFFS" --arg socket "$LAB_SOCKET" --argjson more "${1:-"{}"}" '{
        type: "podfence", bpffs: $bpffs, socket: $socket,
        capabilities: {"io.kubernetes.cri.pod-annotations": true, bandwidth: true}} + $more'
}

# lab_chain bridge|ptp [JSON]: as Flannel has it, or as Calico has it.
lab_chain() {
    local entry
    LAB_CHAIN=$1
    entry=$(lab_entry "${2:-"{}"}")
    if [ "$1" = bridge ]; then
        jq -n --argjson ipam "$(lab_ipam 10.88.0.0/16)" --argjson entry "$entry" '{
            cniVersion: "0.3.1", name: "cbr0", plugins: [
                {type: "bridge", bridge: "cni0", mtu: 1450, hairpinMode: true,
                 isDefaultGateway: true, ipam: $ipam},
                {type: "portmap", capabilities: {portMappings: true}},
                $entry]}' >"$LAB_HOME/chain.conflist"
    else
        jq -n --argjson ipam "$(lab_ipam 0.0.0.0/0 ::/0)" --argjson entry "$entry" '{
            cniVersion: "1.0.0", name: "k8s-pod-network", plugins: [
                {type: "ptp", mtu: 1450, ipam: $ipam},
                {type: "portmap", snat: true, capabilities: {portMappings: true}},
                $entry]}' >"$LAB_HOME/chain.conflist"
    fi
}

# ---- the daemon ----------------------------------------------------------------------------------

lab_ctl() {
    "$LAB_BIN/podfencectl" --bpffs "$LAB_BPFFS" --socket "$LAB_SOCKET" "$@"
}

# lab_has PATTERN ARGUMENT...: is it in what podfencectl says? Read whole: a grep that leaves after the
# first match would end podfencectl in the middle of its answer.
lab_has() {
    local pattern=$1
    shift
    grep -qE -- "$pattern" <<<"$(lab_ctl "$@")"
}

lab_daemon_answers() {
    [ "$(lab_status .daemon.running)" = true ]
}

# The value of a jq path in the status.
lab_status() {
    lab_ctl status -o json | jq -c "$1"
}

lab_daemon_start() {
    local -a enter=() more=()
    read -ra more <<<"${LAB_DAEMON_OPTIONS:-}"
    [ "$LAB_NODE" = node ] || enter=(nsenter "--net=/run/netns/$LAB_NODE" --)
    "${enter[@]}" "$LAB_BIN/podfenced" --bpffs "$LAB_BPFFS" --socket "$LAB_SOCKET" --objects "$LAB/objects" \
        --state "$LAB_HOME/state" --node-name "lab-$LAB_NODE" "${more[@]}" "$@" 2>>"$LAB_HOME/daemon.log" &
    LAB_DAEMON_PID=$!
    LAB_DAEMONS[$LAB_NODE]=$LAB_DAEMON_PID
    eventually "podfenced answers" 20 lab_daemon_answers
}

# lab_path_is true|false POD...: are they on the same-node path, as podfenced --same-node lets them?
lab_path_is() {
    local wanted=$1 pod
    shift
    for pod in "$@"; do
        [ "$(lab_ctl endpoints -o json | jq ".endpoints[] | select(.pod == \"$pod\") | .sameNode")" = "$wanted" ] || return 1
    done
}

# SIGTERM: ends with 0 and leaves everything enforced.
lab_daemon_stop() {
    local status=0
    kill -TERM "$LAB_DAEMON_PID"
    wait "$LAB_DAEMON_PID" || status=$?
    LAB_DAEMON_PID=
    unset "LAB_DAEMONS[$LAB_NODE]"
    expect_equal "exit status of podfenced after SIGTERM" "$status" 0
}

lab_daemon_kill() {
    kill -KILL "$LAB_DAEMON_PID"
    wait "$LAB_DAEMON_PID" 2>/dev/null || true
    LAB_DAEMON_PID=
    unset "LAB_DAEMONS[$LAB_NODE]"
}

# ---- nothing is left -----------------------------------------------------------------------------

lab_map_count() {
    if [ "$1" = connections ]; then
        lab_ctl status -o json | jq '.pins.maps[] | select(.name == "connections") | .used'
    else
        bpftool -j map dump pinned "$LAB_BPFFS/$LAB_LAYOUT/maps/$1" | jq length
    fi
}

lab_maps_empty() {
    local map
    for map in endpoints endpoint_info connections fragments; do
        expect_equal "entries left in map $map" "$(lab_map_count "$map")" 0
    done
    expect_equal "pins left in links" "$(ls "$LAB_BPFFS/$LAB_LAYOUT/links")" ""
}

# Filters of anybody on an interface of the node: "TCX-in TCX-out clsact-in clsact-out".
lab_filters() {
    printf '%s %s %s\n' "$(lab_in "$LAB_NODE" "$LAB_TOOLS/tcxcount" "$(lab_ifindex "$1")")" \
        "$(lab_in "$LAB_NODE" tc filter show dev "$1" ingress 2>/dev/null | grep -c handle || true)" \
        "$(lab_in "$LAB_NODE" tc filter show dev "$1" egress 2>/dev/null | grep -c handle || true)"
}

lab_ifindex() {
    lab_in "$LAB_NODE" ip -j link show dev "$1" | jq '.[0].ifindex'
}

lab_no_filters() {
    local link
    for link in $(lab_in "$LAB_NODE" ip -j link | jq -r '.[].ifname'); do
        expect_equal "filters left on $link" "$(lab_filters "$link")" "0 0 0 0"
    done
}

lab_node_end() {
    [ ! -d "$LAB_BPFFS/$LAB_LAYOUT" ] || lab_maps_empty
    lab_no_filters
    [ -z "$LAB_DAEMON_PID" ] || lab_daemon_stop
    [ "$LAB_NODE" = node ] || ip netns del "$LAB_NODE"
}

# lab_end: every pod through DEL, then no entry, pin, filter, namespace or process may be left.
lab_end() {
    local pod node pid left=
    for pod in "${!LAB_POD_ID[@]}"; do
        lab_on "${LAB_POD_NODE[$pod]}" lab_pod_del "$pod"
    done
    for node in "${LAB_NODES[@]}"; do
        lab_on "$node" lab_node_end
    done
    ip netns del outside
    expect_equal "network namespaces left" "$(ip netns list)" ""
    wait
    for pid in /proc/[0-9]*; do
        [ "$pid" = "/proc/$$" ] || left+=" ${pid#/proc/}"
    done
    [ -z "$left" ] || lab_fail "processes left:$(for pid in $left; do printf ' %s=%s' "$pid" "$(tr '\0' ' ' <"/proc/$pid/cmdline")"; done)"
    printf 'ok %s: nothing left behind\n' "$LAB_NAME"
}
