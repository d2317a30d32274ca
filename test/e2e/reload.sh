#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What real containerd loads while the installer and a main CNI write, asked over CRI; reload.py, which
# e2e.install believes, must say the same.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/lab.sh"
for program in containerd protoc; do
    command -v "$program" >/dev/null || lab_skip "no $program: run scripts/deps.sh"
done
/usr/bin/python3 -c 'import grpc, google.protobuf' 2>/dev/null || lab_skip "no python3-grpcio: run scripts/deps.sh"
lab_enter "$@"

NETD=$LAB/net.d
BIN=$LAB/cni-bin
PRIMARY=$NETD/10-flannel.conflist
SOCKET=$LAB/containerd/socket

containerd_start() {
    mkdir -p "$LAB/containerd"
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
  disable_apparmor = true
  disable_cgroup = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$BIN"
    conf_dir = "$NETD"
TOML
    containerd --config "$LAB/containerd/config.toml" >"$LAB/containerd/log" 2>&1 &
    CONTAINERD=$!
    "$LAB_SOURCE/test/e2e/reload.py" containerd --conf-dir "$NETD" --bin-dir "$BIN" --out "$LAB/loaded" \
        --log "$LAB/out/reload" &
    RELOAD=$!
    eventually "containerd answers" 20 has null
}

has() {
    [ "$("$LAB_SOURCE/test/e2e/cri.py" --socket "$SOCKET" network)" = "$1" ]
}

# loads WHAT CHAIN: containerd has it, and so has reload.py.
loads() {
    eventually "containerd has $2 ($1)" 8 has "$2"
    expect_equal "reload.py ($1)" \
        "$(jq -c 'if . then [.name, .plugins[0].mtu, (.plugins | map(.type) | join(" "))] else . end' "$LAB/loaded")" "$2"
    lab_say "$1: $2"
}

flannel_writes() {
    jq --argjson mtu "$1" '.plugins[0].mtu = $mtu' "$LAB/primary" >"$NETD/.10-flannel.new"
    mv "$NETD/.10-flannel.new" "$PRIMARY"
}

guard() {
    lab_daemon_start --install-cni "$1" --cni-conf-dir "$NETD" --cni-bin-dir "$BIN"
}

mkdir -p "$NETD" "$BIN"
lab_chain bridge
jq '.plugins |= map(select(.type != "podfence"))' "$LAB/chain.conflist" >"$LAB/primary"
lab_swap
containerd_start
guard owned
flannel_writes 1450
loads "owned" '["cbr0",1450,"bridge portmap podfence"]'
flannel_writes 1400
loads "owned, written again by rename" '["cbr0",1400,"bridge portmap podfence"]'
head -c 100 "$LAB/primary" >"$PRIMARY"
sleep 0.2
loads "owned, half a file" '["cbr0",1400,"bridge portmap podfence"]'
lab_daemon_stop
flannel_writes 1350
guard patch
loads "patch" '["cbr0",1350,"bridge portmap podfence"]'
flannel_writes 1300
loads "patch, written again by rename" '["cbr0",1300,"bridge portmap podfence"]'
head -c 100 "$LAB/primary" >"$PRIMARY"
loads "patch, half a file" null
cat "$LAB/primary" >"$PRIMARY"
loads "patch, the other half" "[\"cbr0\",$(jq '.plugins[0].mtu' "$LAB/primary"),\"bridge portmap podfence\"]"
lab_daemon_stop
# what the temporary file in the same folder is for
jq '.name = "other"' "$LAB/primary" >"$LAB/elsewhere"
mv "$LAB/elsewhere" "$NETD/05-other.conflist"
sleep 0.2
loads "moved in from elsewhere: not noticed" "[\"cbr0\",$(jq '.plugins[0].mtu' "$LAB/primary"),\"bridge portmap podfence\"]"
rm "$NETD/05-other.conflist"
lab_ctl uninstall --cni-conf-dir "$NETD" --cni-bin-dir "$BIN" --state "$LAB/state" --reload-wait 0 >"$LAB/out/uninstall"
loads "uninstalled" "[\"cbr0\",$(jq '.plugins[0].mtu' "$LAB/primary"),\"bridge portmap\"]"
kill -TERM "$CONTAINERD" "$RELOAD"
wait "$CONTAINERD" "$RELOAD" 2>/dev/null || true
lab_end
