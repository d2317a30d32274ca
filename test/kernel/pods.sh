#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# pods.sh lasting|clsact, in the guest (and on this machine in namespaces of its own): the plugin and
# the daemon with three pods, real traffic by a policy, masqueraded too, CHECK, DEL; nothing may be left. Prints how
# the filters were attached; `lasting`: in the way that pods which stay are moved to. dash and busybox are all that
# there is.
set -eu
attach=$1
work=/run/pods-$attach
# TCX is of 6.6
release=$(uname -r)
minor=${release#*.}
if [ "$attach" = lasting ]; then
    [ "${release%%.*}" -gt 6 ] || [ "${minor%%.*}" -ge 6 ] && attach=tcx || attach=auto
fi
[ "$attach" = tcx ] && expected=tcx || expected=clsact
export LC_ALL=C

fail() {
    echo "FAIL: $*" >&2
    cat "$work/daemon.log" >&2
    exit 1
}

# plugin VERB POD: as a runtime calls it.
plugin() {
    CNI_COMMAND=$1 CNI_CONTAINERID=$2-id CNI_NETNS=/run/netns/$2 CNI_IFNAME=eth0 CNI_PATH=/bin \
        CNI_ARGS="K8S_POD_NAMESPACE=shop;K8S_POD_NAME=$2" podfence <"$work/$2.json" >"$work/answer" ||
        fail "$1 of $2: $(cat "$work/answer")"
}

# pod NAME NUMBER: what the plugins in front of podfence leave behind, after Calico's fashion.
pod() {
    ip netns add "$1"
    ip link add "veth$2" type veth peer name eth0 netns "$1"
    ip addr add 10.88.0.1/32 dev "veth$2"
    ip link set "veth$2" up
    ip route add "10.88.0.1$2/32" dev "veth$2"
    ip -n "$1" addr add "10.88.0.1$2/32" dev eth0
    ip -n "$1" link set eth0 up
    ip -n "$1" route add default via 10.88.0.1 dev eth0 onlink
    cat >"$work/$1.json" <<JSON
{"cniVersion": "1.0.0", "name": "matrix", "type": "podfence", "startMode": "hold", "holdTimeoutMs": 20000,
 "bpffs": "$work/bpf/podfence", "socket": "$work/socket", "args": {"cni": {"labels": {"app": "$1"}}},
 "prevResult": {"cniVersion": "1.0.0",
  "interfaces": [{"name": "veth$2"}, {"name": "eth0", "sandbox": "/run/netns/$1"}],
  "ips": [{"address": "10.88.0.1$2/32", "interface": 1}]}}
JSON
    plugin ADD "$1"
    nsenter --net="/run/netns/$1" netprobe serve tcp:80 tcp:81 udp:80 >>"$work/served"
}

# expect FROM NUMBER PROTOCOL PORT ok|timeout
expect() {
    got=$(nsenter --net="/run/netns/$1" netprobe try -t 600 "$3,10.88.0.1$2,$4" | cut -d ' ' -f 1)
    [ "$got" = "$5" ] || fail "$1 > 10.88.0.1$2 $3 $4: measured $got, expected $5"
}

traffic() {
    expect web 1 tcp 80 ok
    expect web 1 udp 80 ok
    expect web 1 tcp 81 timeout
    expect intruder 1 tcp 80 timeout
    expect intruder 1 udp 80 timeout
    expect db 2 tcp 80 ok
    expect intruder 1 icmp 0 timeout
    expect intruder 2 icmp 0 ok
}

# Who is behind the node's address: conntrack knows, or the packet mark does.
masqueraded() {
    nft -f - <<'NFT'
table ip matrix {
    chain post { type nat hook postrouting priority 100; oifname "veth1" masquerade; }
}
NFT
    expect web 1 tcp 80 ok
    expect web 1 udp 80 ok
    expect intruder 1 tcp 80 timeout
    nft delete table ip matrix
}

filters() {
    { tc filter show dev veth1 ingress && tc filter show dev veth1 egress; } 2>/dev/null | grep -c handle || true
}

mkdir -p "$work/bpf" "$work/objects" "$work/state"
mount -t bpf bpf "$work/bpf"
echo 1 >/proc/sys/net/ipv4/ip_forward
cat >"$work/objects/policy.yaml" <<'YAML'
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: db, namespace: shop }
spec:
  podSelector: { matchLabels: { app: db } }
  policyTypes: [Ingress]
  ingress:
    - from: [ { podSelector: { matchLabels: { app: web } } } ]
      ports: [ { protocol: TCP, port: 80 }, { protocol: UDP, port: 80 } ]
YAML
podfenced --bpffs "$work/bpf/podfence" --socket "$work/socket" --objects "$work/objects" \
    --state "$work/state" --node-name guest --attach "$attach" 2>"$work/daemon.log" &
daemon=$!
tries=0
until [ -S "$work/socket" ] && podfencectl --socket "$work/socket" --bpffs "$work/bpf/podfence" status >"$work/status"; do
    tries=$((tries + 1))
    [ $tries -lt 300 ] || fail "podfenced does not answer"
    sleep 0.1
done

pod db 1
pod web 2
pod intruder 3
traffic
masqueraded
case $(podfencectl --bpffs "$work/bpf/podfence" --socket "$work/socket" endpoints -o json) in
    *'"attach":"tcx"'*) how=tcx ;;
    *) how=clsact ;;
esac
[ "$how" = "$expected" ] || fail "attached by $how"
[ "$how" = tcx ] || [ "$(filters)" = 2 ] || fail "$(filters) clsact filters at a pod"
for name in db web intruder; do
    plugin CHECK "$name"
done
for name in db web intruder; do
    plugin DEL "$name"
done
[ "$(filters)" = 0 ] || fail "$(filters) filters are left"
[ "$(tcxcount "$(cat /sys/class/net/veth1/ifindex)")" = "0 0" ] || fail "TCX programs are left"
[ -z "$(ls "$work/bpf/podfence"/v*/links)" ] || fail "pinned links are left"
kill $daemon
wait $daemon || fail "podfenced ended with $?"
xargs kill <"$work/served" 2>/dev/null || true
for name in db web intruder; do
    ip netns del "$name"
done
umount "$work/bpf"
echo "@@ note attached by $how"
