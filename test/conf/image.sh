#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The image as the DaemonSet of install.yaml runs it: its root read-only, the volumes, the arguments, the capabilities and
# no others. The daemon installs itself into the folders of a node with a main CNI's list, pods start by what it has
# installed, policy is enforced, and the probes' commands answer.
LAB_BPFFS=/sys/fs/bpf/podfence
LAB_SOCKET=/run/podfence/podfenced.sock
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/../e2e/lab.sh"
lab_enter "$@"

api=$LAB/api

api() {
    "$LAB_SOURCE/test/e2e/apiserver.py" "$1" "$api" "${@:2}"
}

# The lab's stage goes to the API: lab_publish and all that calls it do so, too.
lab_swap() {
    api sync "$LAB/stage"
}

command -v buildah >/dev/null || lab_skip "no buildah: run scripts/deps.sh"
version=$(sed -nE 's/^project\(podfence VERSION ([0-9.]+).*/\1/p' "$LAB_SOURCE/CMakeLists.txt")
arch=$(dpkg --print-architecture)
archive=$LAB_BUILD/podfence-$version-$arch.tar
layout=$LAB/layout
root=$LAB/image

blob() {
    printf '%s\n' "$layout/blobs/${1/://}"
}

lab_say "the archive"
BUILD_DIR=$LAB_BUILD "$LAB_SOURCE/scripts/image.sh" >"$LAB/image.log" 2>&1 || lab_fail "scripts/image.sh: $(tail -n 5 "$LAB/image.log")"
mkdir -p "$layout" "$root"
tar -xf "$archive" -C "$layout"
expect_equal "name" "$(jq -r '.manifests[].annotations["org.opencontainers.image.ref.name"]' "$layout/index.json")" \
    "localhost/podfence:$version"
manifest=$(blob "$(jq -r '.manifests[0].digest' "$layout/index.json")")
config=$(blob "$(jq -r .config.digest "$manifest")")
expect_equal "platform and entry" "$(jq -c '[.os, .architecture, .config.Entrypoint]' "$config")" \
    "[\"linux\",\"$arch\",[\"podfenced\"]]"
expect_equal "label of the version" "$(jq -r '.config.Labels["org.opencontainers.image.version"]' "$config")" "$version"
expect_equal "20 MB at most" "$(($(stat -c %s "$archive") < 20000000))" 1
for layer in $(jq -r '.layers[].digest' "$manifest"); do
    tar -xzf "$(blob "$layer")" -C "$root"
done
expect_equal "files that others may write, or that run as another" \
    "$(find "$root" -not -type l \( -perm /6000 -o -perm /022 \))" ""
expect_equal "links that lead nowhere" "$(find "$root" -xtype l)" ""

lab_say "a container as the DaemonSet asks for: root, volumes, arguments, capabilities"
python3 - "$LAB_SOURCE/conf/install.yaml" "$LAB" <<'PYTHON'
import json, sys, yaml
(daemons,) = [item for item in yaml.safe_load_all(open(sys.argv[1])) if item["kind"] == "DaemonSet"]
pod = daemons["spec"]["template"]["spec"]
(container,) = pod["containers"]
volumes = {volume["name"]: volume for volume in pod["volumes"]}
with open(sys.argv[2] + "/mounts", "w") as out:
    if pod["automountServiceAccountToken"]:
        print("token - /var/run/secrets/kubernetes.io/serviceaccount ro", file=out)
    for mount in container["volumeMounts"]:
        path = volumes[mount["name"]].get("hostPath", {}).get("path", "-")
        print(mount["name"], path, mount["mountPath"], "ro" if mount.get("readOnly") else "rw", file=out)
json.dump({"arguments": container["args"], "capabilities": container["securityContext"]["capabilities"]["add"],
           "probes": {name: container[name]["exec"]["command"] for name in ("livenessProbe", "readinessProbe")}},
          open(sys.argv[2] + "/container", "w"))
PYTHON
mkdir -p "$LAB"/bin "$LAB"/node/policies "$LAB"/objects "$api" /run/podfence /var/lib/podfence
lab_background node apiserver "$LAB_TOOLS/test-apiserver" --folder "$api" --listen 127.0.0.1:6443
api_pid=$LAB_PID
eventually "the API server serves" 20 test -s "$api/control"
api rights "$LAB_SOURCE/conf/install.yaml"
api control POST /objects '{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "podfence"}}' >/dev/null
printf podfence >"$api/serviceaccount/namespace" # as the kubelet does for the DaemonSet's
mount --bind "$LAB/bpf" /sys/fs/bpf
mount --bind "$root" "$root"
mount --rbind /proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
# Of the node's folders those of the lab are there already; the user's ConfigMap is empty.
while read -r volume path inside mode; do
    case $volume in
        bpffs | run | state | netns) source=$path ;;
        token) source=$api/serviceaccount ;;
        examples) source=$LAB_SOURCE/conf/base/examples ;;
        cni-cache) source=$LAB/cache ;;
        *) source=$LAB/node/$volume ;;
    esac
    mkdir -p "$source" "$root$inside"
    mount --bind "$source" "$root$inside"
    mount -o "remount,bind,$mode" "$root$inside"
done <"$LAB/mounts"
mount -o remount,bind,ro "$root"
cat >"$LAB/bin/inside" <<'PYTHON'
import ctypes, json, os, sys
import warnings  # execvpe does, where there is no python any more
NUMBERS = {"NET_ADMIN": 12, "PERFMON": 38, "BPF": 39}
SET_NO_NEW_PRIVS, CAPBSET_DROP = 38, 24
lab, program, *arguments = sys.argv[1:]
container = json.load(open(lab + "/container"))
kept = {NUMBERS[name] for name in container["capabilities"]}
libc = ctypes.CDLL(None)
os.chroot(lab + "/image")
os.chdir("/")
for capability in set(range(64)) - kept:
    libc.prctl(CAPBSET_DROP, capability, 0, 0, 0)
if libc.prctl(SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
    sys.exit("no_new_privs")
os.execvpe(program, [program, *(arguments or container["arguments"])],
           {"PATH": "/usr/sbin:/usr/bin", "NODE_NAME": "lab-node", "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": "6443"})
PYTHON
# The lab runs what is in LAB_BIN: from here on, what is in the image. The daemon gets the DaemonSet's arguments.
for program in podfenced podfencectl; do
    printf '#!/bin/sh\nPATH=/usr/sbin:/usr/bin exec python3 %s/bin/inside %s %s "$@"\n' "$LAB" "$LAB" "$program" >"$LAB/bin/$program"
    chmod +x "$LAB/bin/$program"
done
LAB_BIN=$LAB/bin
expect_match "podfenced --version" "$("$LAB_BIN/podfenced" --version)" "^podfenced $version, pinned layout $LAB_LAYOUT\$"
expect_match "podfencectl --version" "$("$LAB_BIN/podfencectl" --version)" "^podfencectl $version,"
expect_equal "a write to its root" "$(touch "$root/etc/written" 2>/dev/null || echo refused)" refused

reported() {
    api control GET /requests | jq -e 'any(test("nodereports/lab-node.* 20[01]$"))' >/dev/null
}

daemon_start() {
    "$LAB_BIN/podfenced" 2>>"$LAB/daemon.log" &
    LAB_DAEMON_PID=$!
    LAB_DAEMONS[node]=$LAB_DAEMON_PID
    probe_until livenessProbe
}

# probe NAME: the command of that probe
probe() {
    local -a command
    mapfile -t command < <(jq -r ".probes.$1[]" "$LAB/container")
    "$LAB_BIN/${command[0]}" "${command[@]:1}"
}

probe_until() {
    eventually "$1 succeeds" 15 probe "$1"
}

lab_say "it starts before the main CNI, and installs itself when that has come"
lab_swap
daemon_start
expect_equal "capabilities" "$(sed -n 's/^Cap\(Eff\|Bnd\):\t//p' "/proc/$LAB_DAEMON_PID/status" | sort -u)" 000000c000001000
expect_equal "no new privileges" "$(sed -n 's/^NoNewPrivs:\t//p' "/proc/$LAB_DAEMON_PID/status")" 1
lab_chain bridge
jq 'del(.plugins[] | select(.type == "podfence"))' "$LAB/chain.conflist" >"$LAB/node/cni-conf/10-flannel.conflist"
eventually "its list" 10 test -s "$LAB/node/cni-conf/00-podfence.conflist"
probe_until readinessProbe
expect_equal "plugin" "$(cmp "$LAB/node/cni-bin/podfence" "$root/usr/libexec/cni/podfence" && echo same)" same
expect_equal "chain" "$(jq -r '[.plugins[].type] | join(" ")' "$LAB/node/cni-conf/00-podfence.conflist")" "bridge portmap podfence"
cp "$LAB/node/cni-conf/00-podfence.conflist" "$LAB/chain.conflist"
cp "$LAB/node/cni-bin/podfence" "$LAB_BIN/"

lab_say "pods by what it has installed"
lab_object policies <"$LAB_SOURCE/test/e2e/data/shop.yaml"
lab_pods_add web api db intruder
lab_expect <"$LAB_SOURCE/test/e2e/data/shop.table"

lab_say "killed, and another one; meanwhile a pod has started without podfence"
lab_daemon_kill
expect_match "the liveness probe" "$(probe livenessProbe 2>&1 || true)" 'not running'
lab_pod_new before
lab_pod_object before app=web
cp "$LAB/node/cni-conf/10-flannel.conflist" "$LAB/chain.conflist"
lab_pod_attach before || lab_fail "ADD of before: $(cat "$LAB/out/before")"
cp "$LAB/node/cni-conf/00-podfence.conflist" "$LAB/chain.conflist"
sed -i 's,"/run/netns/before","/var/run/netns/before",' "$LAB/cache/cbr0-${LAB_POD_ID[before]}-eth0" # as the kubelet's
grep -q '"/var/run/netns/before"' "$LAB/cache/cbr0-${LAB_POD_ID[before]}-eth0"
lab_swap
daemon_start
probe_until readinessProbe
enforced() { lab_ctl endpoints -o json | jq -e '.endpoints[] | select(.pod == "before") | .state == "enforced"' >/dev/null; }
eventually "it is enforced" 10 enforced
expect_equal "pods whose namespace cannot be opened" "$(lab_ctl status -o json | jq .adoption.gone)" 0
lab_expect <"$LAB_SOURCE/test/e2e/data/shop.table"
expect_equal "what is not watched" \
    "$(lab_ctl status -o json | jq -c '[.kubernetes.kinds[] | select(.phase != "watching") | [.kind, .problem]]')" "[]"
eventually "it writes for the cluster" 30 grep -q 'this node writes for the whole cluster now' "$LAB/daemon.log"
eventually "its report is there" 30 reported
expect_equal "what is refused" "$(api control GET /requests | jq -c 'map(select(endswith(" 403")))')" "[]"
api control POST /rights '{"refuse": []}' >/dev/null # the lab removes objects as the same user

lab_say "a policy in a ConfigMap of the daemon's own namespace counts for another one"
lab_object policies <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: { name: policies, namespace: podfence, labels: { podfence.io/policies: "true" } }
data:
  web.yaml: |
    apiVersion: podfence.io/v1alpha1
    kind: SegmentPolicy
    metadata: { name: web, namespace: shop }
    spec: { mode: Denylist, appliesTo: { podSelector: { matchLabels: { app: web } } }, ingress: [ {} ] }
YAML
lab_publish
lab_expect <<'TABLE'
intruder > web tcp 8080 deny
intruder > db tcp 5432 ok
TABLE
kill "$api_pid"
wait "$api_pid" 2>/dev/null || true
lab_end
