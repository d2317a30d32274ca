#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Real containerd starts two containers through bridge -> portmap -> podfence (ctr run --cni).
# ctr passes no Kubernetes names, so that Pod objects name the containers by their ID.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/lab.sh"
for program in containerd ctr runc busybox; do
    command -v "$program" >/dev/null || lab_skip "no $program: run scripts/deps.sh"
done
lab_enter "$@"

CTR=(ctr --address "$LAB/containerd/socket")

# ctr reads /etc/cni/net.d and /opt/cni/bin and nothing else.
own_folders() {
    cp -a /etc "$LAB/etc"
    mount --bind "$LAB/etc" /etc
    mkdir -p "$LAB/opt"
    mount --bind "$LAB/opt" /opt
    rm -rf /etc/cni/net.d
    mkdir -p /etc/cni/net.d /opt/cni/bin
    cp "$LAB_CNI_DIR"/* "$LAB_BIN/podfence" /opt/cni/bin/
    cp "$LAB/chain.conflist" /etc/cni/net.d/10-podfence.conflist
}

containerd_start() {
    mkdir -p "$LAB/containerd"
    cat >"$LAB/containerd/config.toml" <<TOML
version = 2
root = "$LAB/containerd/root"
state = "$LAB/containerd/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
  address = "$LAB/containerd/socket"
[ttrpc]
  address = "$LAB/containerd/socket.ttrpc"
TOML
    containerd --config "$LAB/containerd/config.toml" >"$LAB/containerd/log" 2>&1 &
    CONTAINERD=$!
    eventually "containerd answers" 20 "${CTR[@]}" version
}

# container NAME: from a root file system with busybox and netprobe; serves until it is told to end.
container() {
    local root=$LAB/rootfs-$1
    mkdir -p "$root/bin"
    cp "$(command -v busybox)" "$LAB_TOOLS/netprobe" "$root/bin/"
    "${CTR[@]}" run --cni --cgroup "" --rootfs "$root" "$1" \
        /bin/netprobe serve -f tcp:80 tcp:8080 udp:53 </dev/null >"$LAB/out/$1" 2>&1 &
    CONTAINER_PID[$1]=$!
    eventually "container $1 runs" 20 running "$1"
    eventually "$1 has an address" 10 address "$1"
}

running() {
    grep -qE "^$1 .*RUNNING" <<<"$("${CTR[@]}" task ls)"
}

# The address is in podfence's own list, found by the container's ID.
address() {
    LAB_POD_IP4[$1]=$(lab_ctl endpoints -o json | jq -r ".endpoints[] | select(.containerId == \"default-$1\") | .addresses[] | select(contains(\":\") | not)")
    LAB_POD_IP6[$1]=$(lab_ctl endpoints -o json | jq -r ".endpoints[] | select(.containerId == \"default-$1\") | .addresses[] | select(contains(\":\"))")
    [ -n "${LAB_POD_IP4[$1]}" ] && [ -n "${LAB_POD_IP6[$1]}" ]
}

# inside FROM TO PROTO PORT EXPECTED: asked by a process in the container, over both families.
inside() {
    local family out
    for family in 4 6; do
        out=$("${CTR[@]}" task exec --exec-id "try$((EXEC += 1))" "$1" \
            /bin/netprobe try -t 800 "$3,$(lab_address "$2" "$family"),$4")
        expect_equal "$1 > $2 $3 $4 over IPv$family" "${out%% *}" "$5"
    done
}

pod_object() {
    lab_object "pod-$1" <<YAML
apiVersion: v1
kind: Pod
metadata:
  name: $1
  namespace: shop
  labels: { app: $1 }
  annotations: { podfence.io/container-id: default-$1 }
spec: { containers: [ { name: c, ports: [ { name: http, containerPort: 8080 } ] } ] }
YAML
}

declare -A CONTAINER_PID=()
EXEC=0
lab_chain bridge
own_folders
lab_object policies <<'YAML'
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: db-in, namespace: shop }
spec:
  podSelector: { matchLabels: { app: db } }
  ingress:
    - from: [ { podSelector: { matchLabels: { app: web } } } ]
      ports: [ { protocol: TCP, port: 8080 } ]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: web-closed, namespace: shop }
spec: { podSelector: { matchLabels: { app: web } }, policyTypes: [ Ingress ] }
YAML
pod_object web
pod_object db
lab_swap
lab_daemon_start
containerd_start
container web
container db

lab_say "inside the containers"
inside web db tcp 8080 ok
inside web db tcp 80 timeout
inside web db udp 53 timeout
inside web db icmp 0 timeout
inside db web tcp 80 timeout
inside db web tcp 8080 timeout
lab_expect <<'TABLE'
node > web tcp 80 ok
node > db tcp 80 ok
outside > db tcp 8080 deny
TABLE
lab_ctl endpoints

lab_say "containers end: ctr sends DEL"
for name in web db; do
    "${CTR[@]}" task kill --signal KILL "$name"
    wait "${CONTAINER_PID[$name]}" || true
    "${CTR[@]}" container rm "$name" 2>/dev/null || true
done
LAB_POD_ID=()
lab_maps_empty
expect_equal "endpoints" "$(lab_ctl endpoints -o json | jq '.endpoints | length')" 0
expect_equal "addresses held" "$(find "$LAB/ipam" -name '10.*' -o -name 'fd00*' | wc -l)" 0
kill -TERM "$CONTAINERD"
wait "$CONTAINERD" || true
umount -l /etc /opt
lab_end
