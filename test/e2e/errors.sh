#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Bad input through the real chain: each refusal has its code and names the thing and the remedy,
# and leaves nothing behind.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/lab.sh"
lab_enter "$@"

# refused WHAT CODE PATTERN COMMAND...: what podfence answers must have the code and match.
refused() {
    local what=$1 code=$2 pattern=$3 out
    shift 3
    if out=$("$@"); then
        lab_fail "$what is not refused"
    fi
    expect_equal "who refuses $what" "$(jq -r .plugin <<<"$out")" podfence
    expect_equal "code for $what" "$(jq -r .error.code <<<"$out")" "$code"
    expect_match "text for $what" "$(jq -r '.error | .msg + " " + (.details // "")' <<<"$out")" "$pattern"
    lab_say "$what: $(jq -r .error.msg <<<"$out")"
    lab_maps_empty
}

podfence() {
    lab_cni "$1" "$2" --only podfence "${@:3}"
}

# entry JSON: a chain whose podfence entry has these keys.
entry() {
    lab_chain bridge "$1"
}

lab_chain bridge
lab_swap
lab_daemon_start
lab_pod_new a

lab_say "wrong values of the entry: code 7 with key and value, nothing is started"
while IFS='|' read -r json pattern; do
    entry "$json"
    refused "$json" 7 "$pattern" lab_cni add a
    expect_equal "interfaces in the pod" "$(ip -n a -j link | jq 'length')" 1
done <<'TABLE'
{"startMode": "wait"}|startMode.*wait.*hold
{"startMode": 1}|startMode.*1
{"startModes": {"shop": "ajar"}}|startModes.*ajar
{"holdTimeoutMs": -1}|holdTimeoutMs.*-1
{"holdTimeoutMs": "2s"}|holdTimeoutMs.*2s
{"failurePolicy": "maybe"}|failurePolicy.*maybe
{"logLevel": "loud"}|logLevel.*loud
{"bpffs": 5}|bpffs.*5
{"bpffs": "relative/path"}|bpffs.*relative/path
{"socket": []}|socket
{"exemptNamespaces": "shop"}|exemptNamespaces.*shop
{"args": {"cni": {"labels": [{"key": "app", "value": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}]}}}|app.*63
{"args": {"cni": {"labels": [{"key": "no spaces", "value": "x"}]}}}|no spaces
TABLE

lab_say "a call that is not as the runtime makes it"
entry '{}'
refused "no prevResult" 7 'prevResult|chained' podfence add a
lab_cni add a >"$LAB/out/a" || lab_fail "ADD: $(cat "$LAB/out/a")"
podfence del a >"$LAB/out/del" || lab_fail "DEL: $(cat "$LAB/out/del")"
refused "no CNI_NETNS" 4 'CNI_NETNS' podfence add a --without-env CNI_NETNS
refused "no CNI_IFNAME" 4 'CNI_IFNAME' podfence add a --without-env CNI_IFNAME
refused "no variable at all" 4 'CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME' podfence add a \
    --without-env CNI_NETNS --without-env CNI_IFNAME --without-env CNI_CONTAINERID
refused "a missing namespace" 8 '/run/netns/missing' podfence add a --netns /run/netns/missing
refused "the host's namespace" 8 'node itself' podfence add a --netns /proc/self/ns/net
refused "a file that is no namespace" 8 'chain.conflist' podfence add a --netns "$LAB/chain.conflist"
jq '.cniVersion = "0.2.0"' "$LAB/chain.conflist" >"$LAB/old.conflist"
refused "CNI version 0.2.0" 1 'incompatible CNI versions' podfence add a --conf "$LAB/old.conflist"
lab_cni del a >"$LAB/out/a" || lab_fail "DEL: $(cat "$LAB/out/a")"

lab_say "interfaces that have no host veth"
lab_chain bridge
jq --argjson entry "$(lab_entry)" --arg dir "$LAB/ipam" '.plugins = [
    {type: "macvlan", master: "eth0", ipam: {type: "host-local", dataDir: $dir,
     ranges: [[{subnet: "192.0.2.0/24", rangeStart: "192.0.2.50"}]]}}, $entry]' \
    "$LAB/chain.conflist" >"$LAB/macvlan" && mv "$LAB/macvlan" "$LAB/chain.conflist"
refused "macvlan" 7 'macvlan' lab_cni add a
expect_equal "interfaces in the pod" "$(ip -n a -j link | jq 'length')" 1
ip -n a tuntap add dev tap0 mode tap
echo '{"cniVersion": "0.3.1", "interfaces": [{"name": "tap0", "sandbox": "/run/netns/a"}],
    "ips": [{"version": "4", "interface": 0, "address": "10.88.0.9/24"}]}' >"$LAB/result"
lab_chain bridge
cp "$LAB/result" "$LAB/cache/cbr0-${LAB_POD_ID[a]}-tap0"
refused "a tap device" 7 'tun|tap' podfence add a --ifname tap0
cp "$LAB/result" "$LAB/cache/cbr0-${LAB_POD_ID[a]}-eth9"
refused "an interface that is not there" 7 'eth9' podfence add a --ifname eth9
rm "$LAB/cache"/*
lab_end
