# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Pods: network namespaces that go through the chain as a runtime would send them.

# shellcheck disable=SC2034 # used by the tests and by lab-traffic.sh
declare -A LAB_POD_ID=() LAB_POD_UID=() LAB_POD_IP4=() LAB_POD_IP6=() LAB_POD_SERVER=() LAB_POD_NODE=()

# What every pod serves; which of it may be reached is policy's business.
LAB_PORTS=(tcp:80 tcp:8080 tcp:5432 udp:53 udp:5353 sctp:9000)

# lab_cni VERB POD [OPTION...]
lab_cni() {
    local verb=$1 pod=$2
    shift 2
    lab_in "$LAB_NODE" "$LAB_SOURCE/test/e2e/runtime.py" "$verb" \
        --conf "$LAB_HOME/chain.conflist" --cache "$LAB_HOME/cache" \
        --cni-path "$LAB_CNI_DIR:$LAB_BIN" --id "${LAB_POD_ID[$pod]:-}" \
        --netns "/run/netns/$pod" --pod "$LAB_NAMESPACE/$pod" --uid "${LAB_POD_UID[$pod]:-}" "$@"
}

# A sandbox: a namespace and an ID, not on the network yet.
lab_pod_new() {
    local pod=$1
    LAB_POD_ID[$pod]=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
    LAB_POD_NODE[$pod]=$LAB_NODE
    LAB_POD_UID[$pod]=$(cat /proc/sys/kernel/random/uuid)
    ip netns add "$pod"
    lab_impatient "$pod"
    ip -n "$pod" link set lo up
}

# lab_pod_attach NAME [OPTION...]: ADD; leaves the report in $LAB/out/NAME.
lab_pod_attach() {
    local pod=$1
    shift
    lab_cni add "$pod" "$@" >"$LAB/out/$pod" 2>"$LAB/out/$pod.err" || return 1
    lab_impatient_link "$pod" eth0
    [ "$LAB_CHAIN" != bridge ] || lab_impatient_link "$LAB_NODE" cni0
    LAB_POD_IP4[$pod]=$(jq -r '[.ips[].address | select(contains(":") | not)][0] // "" | split("/")[0] // ""' "$LAB/out/$pod")
    LAB_POD_IP6[$pod]=$(jq -r '[.ips[].address | select(contains(":"))][0] // "" | split("/")[0] // ""' "$LAB/out/$pod")
}

lab_pod_serve() {
    LAB_POD_SERVER[$1]=$(lab_in "$1" "$LAB_TOOLS/netprobe" serve "${LAB_PORTS[@]}")
}

# lab_pod_add NAME [LABEL=VALUE...]: the object first, as with a scheduler, then ADD, then servers.
lab_pod_add() {
    local pod=$1
    lab_pod_new "$pod"
    lab_pod_object "$@"
    lab_publish
    lab_pod_attach "$pod" || lab_fail "ADD of $pod: $(cat "$LAB/out/$pod")"
    lab_pod_serve "$pod"
}

# The same for several with the label app=NAME, published as one.
lab_pods_add() {
    local pod
    for pod in "$@"; do
        lab_pod_new "$pod"
        lab_pod_object "$pod" "app=$pod"
    done
    lab_publish
    for pod in "$@"; do
        lab_pod_attach "$pod" || lab_fail "ADD of $pod: $(cat "$LAB/out/$pod")"
        lab_pod_serve "$pod"
    done
    lab_outside_ready
}

# The node's side of a pod's interface.
lab_host_veth() {
    local index
    index=$(ip -n "$1" -j link show dev "${2:-eth0}" | jq '.[0].link_index')
    lab_in "$LAB_NODE" ip -j link | jq -r ".[] | select(.ifindex == $index) | .ifname"
}

# Forget a pod: what only the lab holds of it.
lab_pod_forget() {
    local pod=$1
    [ -z "${LAB_POD_SERVER[$pod]:-}" ] || kill "${LAB_POD_SERVER[$pod]}" 2>/dev/null || true
    [ ! -e "/run/netns/$pod" ] || ip netns del "$pod"
    unset "LAB_POD_ID[$pod]" "LAB_POD_UID[$pod]" "LAB_POD_IP4[$pod]" "LAB_POD_IP6[$pod]" \
        "LAB_POD_SERVER[$pod]" "LAB_POD_NODE[$pod]"
}

lab_pod_del() {
    lab_cni del "$1" >"$LAB/out/$1" || lab_fail "DEL of $1: $(cat "$LAB/out/$1")"
    lab_object_remove "pod-$1"
    lab_pod_forget "$1"
}
