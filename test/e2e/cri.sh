#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Real containerd with its CRI plugin, asked by the socket as kubelet asks it: pod sandboxes with
# namespace, name, uid and annotations go through bridge -> portmap -> podfence, thirty at a time, and
# policy is by the labels of their Pod objects. containerd restarts and podfenced is killed between.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/lab.sh"
# shellcheck source=test/e2e/lab-cri.sh
source "$(dirname "$0")/lab-cri.sh"
lab_enter "$@"

PODS=30

# knock FROM PORT: at every address that pods may get, again and again until the file `enough` is there.
knock() {
    local i
    local -a knocks=()
    for ((i = 2; i < PODS + 8; i++)); do
        knocks+=("tcp,10.88.0.$i,$2" "tcp,$(printf 'fd00:88::%x' "$i"),$2")
    done
    while [ ! -e "$LAB/out/enough" ]; do
        LAB_TIMEOUT_MS=300 lab_try "$1" "${knocks[@]}"
    done >"$LAB/out/knock-$1"
}

enforced() {
    lab_ctl endpoints -o json | jq -e --arg count "$1" '[.endpoints[] | select(.state == "enforced")] | length == ($count | tonumber)'
}

# What the policy says of an api pod.
as_expected() {
    local pod
    for pod in "$@"; do
        printf 'web > %s tcp 8080 ok\nweb > %s tcp 80 deny\nspy > %s tcp 8080 deny\n%s > web tcp 8080 deny\n' \
            "$pod" "$pod" "$pod" "$pod"
    done | lab_expect
}

lab_chain bridge '{"startMode": "hold", "holdTimeoutMs": 8000}'
lab_object policies <<'YAML'
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: api, namespace: shop }
spec:
  podSelector: { matchLabels: { app: api } }
  policyTypes: [ Ingress, Egress ]
  ingress:
    - from: [ { podSelector: { matchLabels: { app: web } } } ]
      ports: [ { protocol: TCP, port: 8080 } ]
  egress:
    - to: [ { ipBlock: { cidr: 192.0.2.100/32 } }, { ipBlock: { cidr: "2001:db8:2::100/128" } } ]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: spy, namespace: shop }
spec: { podSelector: { matchLabels: { app: spy } }, policyTypes: [ Ingress ] }
YAML
LAB_POD_SERVER[outside]=$(lab_in outside "$LAB_TOOLS/netprobe" serve tcp:8080)
lab_publish
lab_daemon_start
containerd_prepare

lab_say "two sandboxes that ask"
wanted web app=web 18081
wanted spy app=spy
lab_publish
run_wanted
expect_equal "first packets of web" "$(first web)" "ok ok ok ok"
lab_expect <<'TABLE'
web > spy tcp 8080 deny
spy > web tcp 8080 ok
outside > web tcp 8080 ok
TABLE
expect_equal "the host port that portmap made" "$(lab_reach outside node tcp 18081)" ok

lab_say "$PODS at the same time, while others knock at what they may not reach"
knock spy 8080 &
knocking=($!)
knock web 80 &
knocking+=($!)
pods=()
for ((i = 1; i <= PODS; i++)); do
    wanted "api$i" app=api
    pods+=("api$i")
done
lab_publish
run_wanted
lab_say "RunPodSandbox took $(jq -s 'map(.ms) | sort | "\(.[length / 2 | floor]) ms at the median, \(.[-1]) at most"' -r "$LAB/out/ran")"
as_expected api1 "api$PODS"
touch "$LAB/out/enough"
wait "${knocking[@]}"
for from in spy web; do
    rounds=$(grep -c ' tcp,10.88.0.2,' "$LAB/out/knock-$from")
    [ "$rounds" -ge 2 ] || lab_fail "$from knocked $rounds times only"
done
# Until podfence's turn in the chain a sandbox's kernel refuses connections, with nobody in it yet: so
# it is answers of servers that count. spy may reach web and itself, web only itself.
expect_equal "answers to spy" "$(grep '^ok' "$LAB/out/knock-spy" | cut -d' ' -f2 |
    grep -vE ",(${LAB_POD_IP4[web]}|${LAB_POD_IP6[web]}|${LAB_POD_IP4[spy]}|${LAB_POD_IP6[spy]})," || true)" ""
expect_equal "answers to web" "$(grep '^ok' "$LAB/out/knock-web" | cut -d' ' -f2 |
    grep -vE ",(${LAB_POD_IP4[web]}|${LAB_POD_IP6[web]})," || true)" ""
lab_say "$rounds rounds of knocking, $(cat "$LAB"/out/knock-* | grep -c '^refused' || true) refusals before podfence's turn"
for pod in "${pods[@]}"; do
    expect_equal "first packets of $pod" "$(first "$pod")" "ok timeout ok timeout"
done
expect_equal "sandboxes" "$(cri list | jq -s 'map(select(.ready)) | length')" $((PODS + 2))
enforced $((PODS + 2)) >/dev/null || lab_fail "not all are enforced: $(lab_ctl endpoints)"

lab_say "containerd restarts, podfenced is killed: connections go on, policy stays"
LAB_GAP=1000 lab_stream lawful web api1 tcp 8080
containerd_stop
lab_daemon_kill
as_expected api2 api3
containerd_start
expect_equal "sandboxes known" "$(cri list | jq -s 'map(select(.ready)) | length')" $((PODS + 2))
wanted late app=api
lab_swap
run_wanted
expect_equal "first packets without the daemon" "$(first late)" "timeout timeout timeout timeout"
lab_expect <<'TABLE'
web > late tcp 8080 deny
late > outside tcp 8080 deny
TABLE
lab_daemon_start
eventually "all are enforced" 10 enforced $((PODS + 3))
as_expected late api4
lab_stream_stop lawful
expect_equal "gaps of the stream" "$(grep -cE '^(cut|lost)' "$LAB/out/lawful" || true)" 0

lab_say "all end at the same time, and podfenced is killed meanwhile"
(
    sleep 0.5
    kill -KILL "$LAB_DAEMON_PID"
) &
killer=$!
end "${pods[@]}"
wait "$killer"
wait "$LAB_DAEMON_PID" 2>/dev/null || true
lab_daemon_start
end web spy late
eventually "the maps are empty" 10 eval '[ "$(lab_map_count endpoints)" = 0 ]'
lab_maps_empty
expect_equal "endpoints" "$(lab_ctl endpoints -o json | jq '.endpoints | length')" 0
expect_equal "sandboxes" "$(cri list)" ""
expect_equal "addresses held" "$(find "$LAB/ipam" -name '10.*' -o -name 'fd00*')" ""
expect_equal "results cached" "$(ls /var/lib/cni/results)" ""
expect_equal "links" "$(ip -j link show type veth | jq -r '.[].ifname')" eth0
expect_equal "cgroups" "$(for id in "${ALL[@]}"; do find /sys/fs/cgroup -maxdepth 4 -name "$id"; done)" ""
expect_equal "host ports" "$(iptables -t nat -S | grep -c 'CNI-DN-' || true)" 0
containerd_stop
kill "${LAB_POD_SERVER[outside]}"
lab_end
