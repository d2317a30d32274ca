#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What a policy costs through real sockets: sockets.sh [--events] [--quick] [OPTION of bench-sockets...]
# --events: what telling every connection costs instead (test/bench/observe.sh).
# For each way of enforcing a node of its own (a network namespace) with a bridge whose packets go
# through netfilter, and a client and a server pod that the real chain of plugins has added. All of
# them are there at the same time; bench-sockets measures them in turns.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/../e2e/lab.sh"
# A session of its own, before all others on the machine: the kernel shares the cores between sessions
# first. Within it everybody is equal, podfenced and the load too.
LAB_UNSHARE+=(setsid)
lab_enter "$@"
echo -20 >/proc/self/autogroup || true

keys=(none none-again empty peer fence-1 fence-100 fence-1000 fence-10000 fence-addresses fence-changes
    fence-stopped fence-same-node iptables-nft-100 iptables-nft-1000 iptables-legacy-100
    iptables-legacy-1000 ipset nft-map)
options=()
# Of every podfenced, with --events of those that tell; %n is the configuration, whose file is its own:
# FENCE_DAEMON_OPTIONS="--event-log /tmp/events-%n"
read -ra daemon_options <<<"${FENCE_DAEMON_OPTIONS:-}"
for argument in "$@"; do
    if [ "$argument" = --events ]; then
        keys=(events-off events-off-again events-alarms events-told events-shown)
        options+=(--connections)
    elif [ "$argument" = --quick ] && [ "${keys[0]}" = events-off ]; then
        options+=(--rounds 25 --slice 0.1)
    elif [ "$argument" = --quick ]; then
        keys=(none none-again empty peer fence-1 fence-10000 fence-changes fence-stopped fence-same-node
            iptables-nft-100 nft-map)
        options+=(--rounds 7 --slice 0.06 --bulk 0)
    else
        options+=("$argument")
    fi
done
bench=$LAB_TOOLS/bench-sockets
many=10000
declare -A daemon_pids=()

# ---- one node and its pods -----------------------------------------------------------------------

# in_node KEY COMMAND...
in_node() {
    local key=$1
    shift
    nsenter --net="/run/netns/node-$key" -- "$@"
}

node_new() {
    ip netns add "node-$1"
    ip -n "node-$1" link set lo up
    in_node "$1" sysctl -qw net.bridge.bridge-nf-call-iptables=1 net.ipv4.ip_forward=1
}

# chain KEY PLUGIN...: the conflist; each node has the same addresses.
chain() {
    local key=$1
    shift
    jq -n --arg dir "$LAB/ipam/$key" --arg name "bench-$key" --argjson more "[$*]" '{
        cniVersion: "1.0.0", name: $name, plugins: ([
            {type: "bridge", bridge: "cni0", isDefaultGateway: true, ipam: {
                type: "host-local", dataDir: $dir, ranges: [[{subnet: "10.88.0.0/24"}]]}}
            ] + $more)}' >"$LAB/$key.conflist"
}

# pod_add KEY NAME: ADD through the chain; result in out/KEY-NAME. Ports are used again soon, as a
# client that opens thousands of connections a second needs them.
pod_add() {
    local key=$1 pod=$2
    ip netns add "$key-$pod"
    ip -n "$key-$pod" link set lo up
    lab_in "$key-$pod" sysctl -qw net.ipv4.ip_local_port_range="1024 65535" net.ipv4.tcp_tw_reuse=1
    in_node "$key" "$LAB_SOURCE/test/e2e/runtime.py" add --conf "$LAB/$key.conflist" \
        --cache "$LAB/cache" --cni-path "$LAB_CNI_DIR:$LAB_BIN" --id "$key-$pod" \
        --netns "/run/netns/$key-$pod" --pod "$LAB_NAMESPACE/$pod" --uid "uid-$pod" \
        >"$LAB/out/$key-$pod" || lab_fail "ADD of $key-$pod: $(cat "$LAB/out/$key-$pod")"
}

# pod_fact KEY NAME FILTER: out of the result.
pod_fact() {
    jq -r "$3" "$LAB/out/$1-$2"
}

# pods_add KEY CHANGES: both, a server for iperf3, and the line for bench-sockets.
pods_add() {
    local key=$1 pod links=()
    for pod in client server; do
        pod_add "$key" "$pod"
        links+=("$(pod_fact "$key" "$pod" '.interfaces[] | select((.sandbox // "") == "" and
            .name != "cni0") | .name')")
    done
    nsenter --net="/run/netns/$key-server" -- taskset -c 0 iperf3 -s -p 8100 >/dev/null 2>&1 &
    printf '%s %s %s %s %s %s %s %s\n' "$key" "$key-client" "$key-server" "node-$key" \
        "$(pod_fact "$key" server '.ips[0].address | split("/")[0]')" "${links[@]}" "$2" \
        >>"$LAB/configs"
}

# ---- podfence ------------------------------------------------------------------------------------

daemon_answers() {
    "$LAB_BIN/podfencectl" --bpffs "$LAB/bpf/$1" --socket "$LAB/$1.sock" status -o json |
        jq -e .daemon.running
}

# fence KEY RULES ADDRESSES [OPTION...]
fence() {
    local key=$1 rules=$2 addresses=$3 changes=- more=()
    shift 3
    [[ $key == events-off* ]] || more=("${daemon_options[@]//%n/$key}")
    mkdir -p "$LAB/objects/$key" "$LAB/state/$key"
    "$bench" objects "$rules" "$addresses" >"$LAB/objects/$key/shop.json"
    [ "$key" != fence-changes ] || changes=$LAB/objects/$key
    # no function in between: its number is to be the daemon's own
    nsenter --net="/run/netns/node-$key" -- "$LAB_BIN/podfenced" --bpffs "$LAB/bpf/$key" \
        --socket "$LAB/$key.sock" --objects "$LAB/objects/$key" --state "$LAB/state/$key" \
        --node-name here --attach tcx "${more[@]}" "$@" 2>>"$LAB/daemon.log" &
    daemon_pids[$key]=$!
    eventually "podfenced of $key answers" 60 daemon_answers "$key"
    chain "$key" "$(jq -n --arg bpffs "$LAB/bpf/$key" --arg socket "$LAB/$key.sock" \
        '{type: "podfence", bpffs: $bpffs, socket: $socket, holdTimeoutMs: 20000}')"
    pods_add "$key" "$changes"
}

has_same_node() {
    grep -q -- --same-node <<<"$("$LAB_BIN/podfenced" --help)"
}

# The bridge's path is what is measured, whatever the daemon's default.
fence_on_bridge() {
    if has_same_node; then
        fence "$@" --same-node off
    else
        fence "$@"
    fi
}

# tell_all KEY: connections that are allowed are told, as if somebody listened for ever.
tell_all() {
    local layout
    layout=$(echo "$LAB/bpf/$1"/v*)
    bpftool map update pinned "$layout/maps/observed" key hex 00 00 00 00 value hex ff ff ff ff ff ff ff 7f
}

show_all() {
    "$LAB_BIN/podfencectl" --bpffs "$LAB/bpf/$1" --socket "$LAB/$1.sock" observe -f -o json >/dev/null &
}

# ---- others --------------------------------------------------------------------------------------

# filter_rules COUNT: as iptables-restore reads them; what is used is at the end.
filter_rules() {
    printf '*filter\n:INPUT ACCEPT\n:OUTPUT ACCEPT\n:FORWARD DROP\n'
    printf -- '-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT\n'
    awk -v count="$(($1 - 2))" 'BEGIN { for (i = 0; i < count; i++)
        printf "-A FORWARD -s 10.128.%d.%d/32 -p tcp -m tcp --dport %d -j ACCEPT\n",
            i / 250, i % 250 + 1, 20000 + i }'
    printf -- '-A FORWARD -s 10.88.0.0/24 -p %s --dport 8000:8255 -j ACCEPT\n' tcp udp
    printf 'COMMIT\n'
}

# COUNT addresses, the client's among them: set_elements COUNT
set_elements() {
    awk -v count="$(($1 - 1))" -v client="$client_address" 'BEGIN { for (i = 0; i < count; i++)
        printf "10.128.%d.%d\n", i / 250, i % 250 + 1; print client }'
}

use_ipset() {
    {
        echo "create peers hash:ip maxelem 65536"
        set_elements "$many" | sed 's/^/add peers /'
    } | in_node "$1" ipset restore
    {
        printf '*filter\n:INPUT ACCEPT\n:OUTPUT ACCEPT\n:FORWARD DROP\n'
        printf -- '-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT\n'
        printf -- '-A FORWARD -m set --match-set peers src -p %s --dport 8000:8255 -j ACCEPT\n' \
            tcp udp
        printf 'COMMIT\n'
    } | in_node "$1" iptables-nft-restore
}

use_nft_map() {
    {
        printf 'table ip bench {\nmap peers { type ipv4_addr . inet_proto . inet_service : verdict\n'
        printf 'elements = {\n'
        set_elements $((many - 2)) | sed 's/.*/& . tcp . 8000 : accept,/'
        printf '%s . udp . 8000 : accept,\n%s . tcp . 8100 : accept }\n}\n' \
            "$client_address" "$client_address"
        printf 'chain forward { type filter hook forward priority filter; policy drop;\n'
        printf 'ct state established,related accept\n'
        printf 'ip saddr . ip protocol . th dport vmap @peers\n}\n}\n'
    } | in_node "$1" nft -f -
}

# ---- all of them ---------------------------------------------------------------------------------

set_up() {
    local key=$1
    node_new "$key"
    case $key in
        fence-1) fence_on_bridge "$key" 1 250 ;;
        fence-100) fence_on_bridge "$key" 100 250 ;;
        fence-1000) fence_on_bridge "$key" 1000 250 ;;
        fence-10000) fence_on_bridge "$key" 10000 250 ;;
        fence-addresses) fence_on_bridge "$key" 1 100000 ;;
        fence-changes) fence_on_bridge "$key" 1 250 ;;
        fence-stopped)
            fence_on_bridge "$key" 1 250
            kill -STOP "${daemon_pids[$key]}"
            ;;
        fence-same-node) fence "$key" 1 250 --same-node on ;;
        events-off*) fence_on_bridge "$key" 1 250 --alarms off ;;
        events-*) fence_on_bridge "$key" 1 250 ;;
        *)
            chain "$key"
            pods_add "$key" -
            ;;
    esac
    client_address=$(pod_fact "$key" client '.ips[0].address | split("/")[0]')
    case $key in
        iptables-*) filter_rules "${key##*-}" | in_node "$key" "${key%-*}-restore" ;;
        events-told) tell_all "$key" ;;
        events-shown) show_all "$key" ;;
        ipset) use_ipset "$key" ;;
        nft-map) use_nft_map "$key" ;;
    esac
}

mkdir -p "$LAB/ipam"
for key in "${keys[@]}"; do
    if [ "$key" = fence-same-node ] && ! has_same_node; then
        echo "left out: podfence, same-node path: podfenced has no option --same-node"
        continue
    fi
    echo "sockets: setting up $key" >&2
    set_up "$key"
done

# daemon_ms KEY: processor time of a node's podfenced so far.
daemon_ms() {
    awk '{ printf "%d", $1 / 1000000 }' "/proc/${daemon_pids[$1]}/schedstat"
}

[ -z "${daemon_pids[fence-changes]:-}" ] || before=$(daemon_ms fence-changes)
status=0
"$bench" "${options[@]}" "$LAB/configs" &
wait $! || status=$?
[ -z "${daemon_pids[fence-changes]:-}" ] || printf 'podfenced needed %d ms of a core for the addresses that changed, and all else meanwhile\n' \
    $(($(daemon_ms fence-changes) - before))
exit "$status"
