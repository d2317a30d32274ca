#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The image is what the DaemonSet counts on: from its root, read-only and with the DaemonSet's capabilities and no
# others, the daemon starts and enforces, the plugin that is in it adds a pod, and the probes' commands answer.
LAB_SOCKET=/run/podfence-lab/run/podfenced.sock # in a folder of its own, which can be mounted
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/../e2e/lab.sh"
lab_enter "$@"

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

lab_say "its root: read-only, with the DaemonSet's capabilities and no new ones"
mkdir -p "$LAB"/{run,bin} "$root$LAB"/{bpf,objects,state,run}
mount --bind "$root" "$root"
for folder in proc sys; do
    mount --rbind "/$folder" "$root/$folder"
done
for folder in bpf objects state run; do
    mkdir -p "$LAB/$folder"
    mount --bind "$LAB/$folder" "$root$LAB/$folder"
done
mount -o remount,bind,ro "$root"
cat >"$LAB/bin/inside" <<'PYTHON'
import ctypes, os, sys
SET_NO_NEW_PRIVS, CAPBSET_DROP = 38, 24
BPF, NET_ADMIN, PERFMON = 39, 12, 38
libc = ctypes.CDLL(None)
os.chroot(sys.argv[1])
os.chdir("/")
for capability in set(range(64)) - {BPF, NET_ADMIN, PERFMON}:
    libc.prctl(CAPBSET_DROP, capability, 0, 0, 0)
if libc.prctl(SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
    sys.exit("no_new_privs")
os.execve(sys.argv[2], [os.path.basename(sys.argv[2]), *sys.argv[3:]], {"PATH": "/usr/sbin:/usr/bin"})
PYTHON
# The lab runs what is in LAB_BIN: from here on, what is in the image.
for program in sbin/podfenced bin/podfencectl; do
    printf '#!/bin/sh\nexec python3 %s/bin/inside %s /usr/%s "$@"\n' "$LAB" "$root" "$program" >"$LAB/bin/${program#*/}"
    chmod +x "$LAB/bin/${program#*/}"
done
cp "$root/usr/libexec/cni/podfence" "$LAB/bin/"
LAB_BIN=$LAB/bin
expect_match "podfenced --version" "$("$LAB_BIN/podfenced" --version)" "^podfenced $version, pinned layout $LAB_LAYOUT\$"
expect_match "podfencectl --version" "$("$LAB_BIN/podfencectl" --version)" "^podfencectl $version,"
expect_equal "a write to its root" "$(touch "$root/etc/written" 2>/dev/null || echo refused)" refused

lab_say "a daemon, a plugin and pods from it"
lab_swap
lab_daemon_start
expect_equal "capabilities" "$(sed -n 's/^Cap\(Eff\|Bnd\):\t//p' "/proc/$LAB_DAEMON_PID/status" | sort -u)" 000000c000001000
expect_equal "no new privileges" "$(sed -n 's/^NoNewPrivs:\t//p' "/proc/$LAB_DAEMON_PID/status")" 1
lab_chain bridge
lab_object policies <"$LAB_SOURCE/test/e2e/data/shop.yaml"
lab_pods_add web api db intruder
lab_expect <"$LAB_SOURCE/test/e2e/data/shop.table"
lab_ctl status --alive
lab_ctl status --ready

lab_say "killed, and another one"
lab_daemon_kill
expect_match "the liveness probe" "$(lab_ctl status --alive 2>&1 || true)" 'not running'
lab_daemon_start
eventually "the readiness probe" 10 lab_ctl status --ready
lab_expect <"$LAB_SOURCE/test/e2e/data/shop.table"
lab_end
