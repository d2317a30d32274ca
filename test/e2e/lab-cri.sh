# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2034 # what lab-objects.sh and lab-traffic.sh use
# containerd with its CRI plugin, asked as kubelet asks it (cri.py), in the lab's node. The chain is
# that of lab_chain. A sandbox first asks outwards, then it serves.
#
#   containerd_prepare                 it runs, with the image of the sandboxes
#   wanted POD LABEL [HOST_PORT]       its object on stage, and a line for cri.py (wanted_line: that alone)
#   run_wanted                         RunPodSandbox of all of them at the same time
#   first POD                          what became of its first packets
#   end POD...                         StopPodSandbox and RemovePodSandbox
for program in containerd ctr runc busybox protoc; do
    command -v "$program" >/dev/null || lab_skip "no $program: run scripts/deps.sh"
done
/usr/bin/python3 -c 'import grpc, google.protobuf' 2>/dev/null || lab_skip "no python3-grpcio: run scripts/deps.sh"

SOCKET=$LAB/containerd/socket
IMAGE=podfence.test/pause:1
# The first thing that a sandbox does is to ask outwards; then it serves. /dev is all that it can write.
FIRST='netprobe try -t 800 tcp,192.0.2.100,8080 tcp,192.0.2.200,8080 tcp,2001:db8:2::100,8080 tcp,2001:db8:2::200,8080 >/dev/first &'
COMMAND="export PATH=/bin; $FIRST exec netprobe serve -f tcp:80 tcp:8080 udp:53"
declare -A ID=() PID=()
declare -a ALL=()

cri() {
    "$LAB_SOURCE/test/e2e/cri.py" --socket "$SOCKET" "$@"
}

containerd_start() {
    containerd --config "$LAB/containerd/config.toml" >>"$LAB/containerd/log" 2>&1 &
    CONTAINERD=$!
    cri wait >"$LAB/out/runtime" || lab_fail "containerd: $(tail -n 5 "$LAB/containerd/log")"
}

containerd_stop() {
    kill -TERM "$CONTAINERD"
    wait "$CONTAINERD" || true
}

containerd_prepare() {
    mkdir -p "$LAB"/{containerd,net.d,cni-bin}
    ln -s "$LAB_CNI_DIR"/* "$LAB_BIN/podfence" "$LAB/cni-bin/"
    cp "$LAB/chain.conflist" "$LAB/net.d/10-podfence.conflist"
    cat >"$LAB/containerd/config.toml" <<TOML
version = 2
root = "$LAB/containerd/root"
state = "$LAB/containerd/state"
[grpc]
  address = "$SOCKET"
[ttrpc]
  address = "$SOCKET.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
  path = "$LAB/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$IMAGE"
  disable_apparmor = true
  disable_cgroup = true
  restrict_oom_score_adj = true # containers have no CAP_SYS_RESOURCE
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$LAB/cni-bin"
    conf_dir = "$LAB/net.d"
TOML
    containerd_start
    lab_say "$(jq -r '.name + " " + .version' "$LAB/out/runtime"), Status: ready"
    cri image "$LAB/image.tar" "$IMAGE" "$COMMAND" "$(command -v busybox)" "$LAB_TOOLS/netprobe"
    ctr --address "$SOCKET" -n k8s.io images import "$LAB/image.tar" >"$LAB/out/import"
}

# ---- sandboxes -----------------------------------------------------------------------------------

# wanted_line POD LABEL [HOST_PORT]: the UID is known.
wanted_line() {
    jq -nc --arg pod "shop/$1" --arg uid "${LAB_POD_UID[$1]}" --argjson port "${3:-null}" --arg app "${2#app=}" '{
        pod: $pod, uid: $uid, hostPort: $port, labels: {app: $app},
        annotations: {"example.org/note": "=;\"\u00fc", "podfence.io/labels": "app=web"}}' >>"$LAB/out/wanted"
}

# wanted POD LABEL [HOST_PORT]: its object on stage, and a line for cri.py.
wanted() {
    LAB_POD_UID[$1]=$(cat /proc/sys/kernel/random/uuid)
    LAB_POD_NODE[$1]=node
    lab_pod_object "$1" "$2"
    wanted_line "$@"
}

# All that are wanted, at the same time.
run_wanted() {
    cri run <"$LAB/out/wanted" >"$LAB/out/ran" || lab_fail "RunPodSandbox: $(grep failed "$LAB/out/ran")"
    rm "$LAB/out/wanted"
    local pod id pid netns ip4 ip6
    while read -r pod id pid netns ip4 ip6; do
        ID[$pod]=$id PID[$pod]=$pid LAB_POD_IP4[$pod]=$ip4 LAB_POD_IP6[$pod]=$ip6
        ALL+=("$id")
        ln -s "$netns" "/run/netns/$pod"
    done < <(jq -r '"\(.pod | split("/")[1]) \(.id) \(.pid) \(.netns) \(.ips | join(" "))"' "$LAB/out/ran")
}

# end POD...: stopped and removed, all at the same time.
end() {
    local pod ids=()
    for pod in "$@"; do
        ids+=("${ID[$pod]}")
        rm "/run/netns/$pod"
        unset "ID[$pod]"
    done
    cri stop "${ids[@]}" >"$LAB/out/stopped" || lab_fail "StopPodSandbox: $(grep failed "$LAB/out/stopped")"
    cri remove "${ids[@]}" >"$LAB/out/removed" || lab_fail "RemovePodSandbox: $(grep failed "$LAB/out/removed")"
    for pod in "$@"; do
        lab_object_remove "pod-$pod"
    done
    lab_swap
}

# first POD: what it saw with its first packets.
first() {
    local file=/proc/${PID[$1]}/root/dev/first
    eventually "the first connections of $1 ended" 10 first_ended "$file"
    awk '{ print $1 }' "$file" | paste -sd' '
}

first_ended() {
    [ "$(wc -l <"$1")" -eq 4 ]
}

