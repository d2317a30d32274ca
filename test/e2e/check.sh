#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# check.sh: podfencectl check on a real node: a healthy one, and each thing that can be wrong with it,
# told by a line with its remedy and by the exit status. It changes nothing.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/lab.sh"
lab_enter "$@"

netd=$LAB/net.d
bin=$LAB/bin

# check STATUS [OPTION...]: the output is in $said, as text.
check() {
    local expected=$1 status=0
    shift
    said=$(lab_ctl check --net-d "$netd" --cni-bin "$bin" "$@" 2>&1) || status=$?
    [ "$status" = "$expected" ] || lab_fail "check ended with $status, expected $expected: $said"
}

# says PATTERN...: a line for each.
says() {
    local pattern
    for pattern in "$@"; do
        grep -Eq "$pattern" <<<"$said" || lab_fail "no line matches '$pattern' in
$said"
    done
}

failures_are() {
    expect_equal "lines that fail" "$(grep -c ^FAIL <<<"$said")" "$1"
}

# chain [JSON]: what the runtime's folder has; more keys of our entry.
chain() {
    lab_chain bridge "${1:-"{}"}"
    cp "$LAB/chain.conflist" "$netd/10-flannel.conflist"
}

# What check might have touched.
traces() {
    find "$netd" "$bin" "$LAB_BPFFS" -printf '%p %T@\n' | sort
    lab_filters "$(lab_host_veth web)"
}

mkdir "$netd" "$bin"
cp "$LAB_BIN/podfence" "$bin/"
chain

lab_say "before anything is there"
check 0 --preflight
says '^ok    kernel: Linux [0-9]' '^ok    rights: .* is on a BPF file system' '^ok    rights: capabilities BPF, NET_ADMIN and PERFMON'
check 1
says '^FAIL  daemon: podfenced does not run.*start podfenced' '^FAIL  data path: no data path of version'
failures_are 2
check 1 --bpffs "$LAB/out/podfence" --preflight
says '^FAIL  rights: .*/out/podfence is not on a BPF file system.*mount -t bpf'
failures_are 1

lab_say "somebody was there before"
ip link add before0 type veth peer name before1
tc qdisc add dev before0 ingress
tc filter add dev before0 ingress prio 5 u32 match u32 0 0 action ok 2>/dev/null ||
    tc qdisc add dev before0 root tbf rate 1mbit burst 10k latency 50ms
check 0 --preflight
says '^ok    others: before0 has qdisc [a-z]+, which stays; podfence goes in front' \
    '^ok    others: 1 of [0-9]+ veths without podfence'
ip link del before0

lab_say "a healthy node"
lab_swap
lab_daemon_start --attach clsact
lab_pods_add web db
before=$(traces)
check 0
says '^ok    chain: .*/10-flannel.conflist is what new pods get, network cbr0' \
    '^ok    chain: podfence is plugin 3 of the chain, after portmap' '^ok    plugin: .*/podfence is of version ' \
    '^ok    daemon: podfenced .* is ready, on node lab-node' \
    '^ok    data path: .* is whole' '^ok    data path: 2 of 2 pod interfaces are filtered, podfence first'
expect_equal "what check has changed" "$(traces)" "$before"
check 0 -o json
expect_equal "JSON" "$(jq -c '[.failures, (.findings | map(select(.level == "fail")) | length), (.findings | length) == .ok + .warnings]' <<<"$said")" '[0,0,true]'

lab_say "without rights it says what it cannot see"
chmod 755 "$LAB" "$LAB/bin" "$netd"
said=$(setpriv --reuid 65534 --regid 65534 --clear-groups "$LAB_BIN/podfencectl" --bpffs "$LAB_BPFFS" --socket "$LAB_SOCKET" \
    check --net-d "$netd" --cni-bin "$bin" 2>&1) || lab_fail "check as nobody: $said"
says '^warn  rights: this process has not the capabilities BPF, NET_ADMIN, PERFMON.*run it as root' \
    '^warn  daemon: .*run it as root' '^warn  data path: .*run it as root'

lab_say "the chain"
rm "$netd"/*
check 1
says '^FAIL  chain: .* has no network configuration.*install the main CNI plugin'
jq '.plugins |= map(select(.type != "podfence"))' "$LAB/chain.conflist" >"$netd/05-other.conflist"
chain
check 1
says '^FAIL  chain: .*/05-other.conflist is what new pods get, and has no podfence entry.*as the last of its plugins'
failures_are 1
rm "$netd/05-other.conflist"
printf '{' >"$netd/01-half.conflist"
check 1
says '^FAIL  chain: no valid configuration: .*/01-half.conflist.*put it right or take it away'
failures_are 1
rm "$netd/01-half.conflist"
mkdir "$netd/cbr0"
jq '(.plugins |= map(select(.type != "podfence"))) + {loadOnlyInlinedPlugins: false}' "$LAB/chain.conflist" \
    >"$netd/10-flannel.conflist"
jq '.plugins[] | select(.type == "podfence")' "$LAB/chain.conflist" >"$netd/cbr0/podfence.conf"
check 0
says '^ok    chain: podfence is plugin 3 of the chain, by a drop-in'
rm -r "$netd/cbr0"
chain '{"startMod\u001b": "hold"}'
check 0
says '^warn  chain: podfence does not know the key "startMod\\x1b" of its entry'
chain '{"startMode": "ajar"}'
check 1
says '^FAIL  chain: "startMode": "ajar" is not allowed'
failures_are 1
chain

lab_say "the plugin"
rm "$bin/podfence"
check 1
says '^FAIL  plugin: there is no .*/podfence, which the runtime would run.*install'
# the same program, but for what it says of its version
version=$("$LAB_BIN/podfencectl" --version | sed 's/^podfencectl \([^,]*\),.*/\1/')
LC_ALL=C sed "s/${version//./\\.}/0.0.0/" "$LAB_BIN/podfence" >"$bin/podfence"
chmod 755 "$bin/podfence"
check 1
says "^FAIL  plugin: .*/podfence is of version 0.0.0, and this is $version .*install the plugin of this version"
failures_are 1
cp /bin/true "$bin/podfence"
check 1
says '^FAIL  plugin: .*/podfence is not podfence'
cp "$LAB_BIN/podfence" "$bin/podfence"

lab_say "somebody else at a pod's interface, and the daemon is down"
lab_daemon_kill
bpftool prog load "$LAB_TOOLS/markseen.bpf.o" "$LAB/bpf/markseen" pinmaps "$LAB/bpf/markseen-maps"
veth=$(lab_host_veth web)
other() {
    tc filter "$1" dev "$veth" ingress protocol all "${@:2}" bpf direct-action object-pinned "$LAB/bpf/markseen"
}
other add prio 7
check 1
says '^FAIL  daemon: podfenced does not run: what is in force stays so' \
    "^ok    data path: $veth of shop/web has a filter of priority 7 beside podfence's filters" \
    '^ok    data path: 2 of 2 pod interfaces are filtered'
failures_are 1
tc filter del dev "$veth" ingress prio 7
# of one priority the newest runs first, and ours has the first
other add prio 1
check 1
says "^FAIL  data path: $veth of shop/web: .*has to go behind podfence" '^ok    data path: 1 of 2 pod interfaces'
failures_are 2
lab_daemon_start --attach clsact
eventually "podfenced puts its filters first again" 8 lab_ctl check --net-d "$netd" --cni-bin "$bin"
tc filter show dev "$veth" ingress >"$LAB/out/filters"
read -r priority handle < <(sed -n 's/.* pref \([0-9]*\) bpf .*handle \(0x[0-9a-f]*\) markseen.*/\1 \2/p' "$LAB/out/filters")
tc filter del dev "$veth" ingress prio "$priority" handle "$handle" bpf
check 0

lab_say "a data path with a hole, and one of another version"
lab_ctl --bpffs "$LAB/bpf/other" load >/dev/null
mkdir "$LAB/bpf/other/v1"
rm "$LAB/bpf/other/$LAB_LAYOUT/maps/counters"
check 1 --bpffs "$LAB/bpf/other"
says '^FAIL  data path: .* is damaged: maps/counters is missing.*restart podfenced' '^warn  data path: a data path of layout 1 is pinned' \
    "^warn  chain: the entry's bpffs is $LAB_BPFFS, and not $LAB/bpf/other"
rm -r "$LAB/bpf/other" "$LAB/bpf/markseen" "$LAB/bpf/markseen-maps"
lab_end
