#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# observe.sh: events of real traffic, live, kept and in the log: the same lines everywhere, chosen,
# sanitised, and never in the way of enforcement: a full disk, a sleeping observer, thousands of
# connections to the socket.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/lab.sh"
lab_enter "$@"

disk=$LAB/disk
log=$disk/events.log
# what no API server lets through, but a runtime could
hostile=$'evil\x1b[2J\xe2\x80\xae\x07'

events() {
    lab_ctl observe -o json "$@"
}

# follow NAME [OPTION...]: observe -f in the background, listening.
follow() {
    local name=$1 before
    shift
    before=$(lab_status .events.observers)
    lab_background node "$name" "$LAB_BIN/podfencectl" --bpffs "$LAB_BPFFS" --socket "$LAB_SOCKET" observe -f "$@"
    eventually "observer $name is there" 5 observers_are $((before + 1))
}

daemon_status() {
    lab_status ".$1"
}

count() {
    jq -s 'length' <<<"$1"
}

# log_is JQ: of what the status says of the log.
log_is() {
    [ "$(daemon_status events.log | jq "$1")" = true ]
}

observers_are() {
    [ "$(daemon_status events.observers)" -eq "$1" ]
}

# has FILE JQ: a line of it fits.
has() {
    [ -n "$(jq -c "select($2)" "$1" 2>/dev/null)" ]
}

hostile_is_told() {
    [ -n "$(events --last 10 --from "shop/$hostile")" ]
}

# ---- the world -----------------------------------------------------------------------------------

mkdir -p "$disk"
mount -t tmpfs -o size=4m tmpfs "$disk"
lab_chain bridge
lab_object policies <<'YAML'
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: db-in, namespace: shop }
spec:
  podSelector: { matchLabels: { app: db } }
  policyTypes: [ Ingress ]
  ingress:
    - from: [ { podSelector: { matchLabels: { app: web } } } ]
      ports: [ { protocol: TCP, port: 5432 } ]
---
apiVersion: podfence.io/v1alpha1
kind: SegmentPolicy
metadata: { name: try-out, namespace: shop }
spec:
  enforcement: Audit
  mode: Denylist
  appliesTo: { podSelector: { matchLabels: { app: web } } }
  egress: [ { ports: [ { protocol: TCP, port: 8080 } ] } ]
YAML
lab_publish
lab_daemon_start --event-log "$log" --event-log-size 64K --event-log-files 3 --socket-group 4711
lab_pods_add web db intruder
lab_say "one of each kind"
follow live -o json
observer=$LAB_PID
follow refused --verdict dropped --to shop/db --port 5432/TCP
refused=$LAB_PID
lab_try web "tcp,${LAB_POD_IP4[db]},5432" "tcp,${LAB_POD_IP6[db]},5432" "tcp,${LAB_POD_IP4[db]},8080" \
    "icmp,${LAB_POD_IP4[intruder]},0" "tcp,192.0.2.100,80" "udp,${LAB_POD_IP4[intruder]},53" >/dev/null
lab_try intruder "tcp,${LAB_POD_IP4[db]},5432" >/dev/null
gateway=$(ip -j link show dev cni0 | jq -r '.[0].address')
lab_in intruder "$LAB_TOOLS/netprobe" inject -m "$gateway" plain 10.99.0.1 192.0.2.100 80 ||
    lab_fail "inject"
eventually "the forged packet is told" 5 has "$LAB/out/live" '.reason == "spoofed-address"'
eventually "the world is told" 5 has "$LAB/out/live" '.destination.labels == ["reserved:world"]'
expect_event() {
    has "$LAB/out/live" "$2" || lab_fail "$1 is not told: $(jq -c 'del(.source.labels, .destination.labels)' "$LAB/out/live" | head -c 4000)"
}
expect_event "web to db" '.verdict == "FORWARDED" and .traffic_direction == "INGRESS" and .source.pod_name == "web"
    and .destination.pod_name == "db" and .l4.TCP.destination_port == 5432 and .policy == "NetworkPolicy/shop/db-in" and .rule == 0
    and .IP.ipVersion == "IPv6" and .source.spiffe == "spiffe://cluster.local/ns/shop/app/web"
    and .destination.workloads == [{name: "db"}] and .node_name == "lab-node" and .is_reply == false
    and .ingress_allowed_by == [{name: "db-in", namespace: "shop", kind: "NetworkPolicy"}] and .policy_set > 0'
expect_event "intruder to db" '.verdict == "DROPPED" and .source.app == "intruder" and .reason == "no-rule"
    and .drop_reason_desc == "POLICY_DENIED" and .event_type == {type: 1, sub_type: 133}'
expect_event "what an Audit policy would deny" '.verdict == "AUDIT" and .audit_policy == "SegmentPolicy/shop/try-out"
    and .egress_denied_by[0].name == "try-out"'
expect_event "ICMP" '.l4.ICMPv4 == {type: 8, code: 0} and .Summary == "ICMP type 8 code 0"'
expect_event "UDP" '.l4.UDP.destination_port == 53'
expect_equal "each record has a number of its own" "$(jq -r .uuid "$LAB/out/live" | sort | uniq -d)" ""

lab_say "the log has the same lines, to the byte"
sleep 1.2 # the log is written each second
kill "$observer" "$refused"
wait "$observer" "$refused" 2>/dev/null || true
while read -r line; do
    grep -qxF -- "$line" "$log" || lab_fail "not in the log: $line"
done <"$LAB/out/live"
expect_match "the chosen, as text" "$(cat "$LAB/out/refused")" \
    'DROPPED +shop/intruder +-> shop/db +5432/TCP +INGRESS +no-rule +NetworkPolicy/shop/db-in'
[ "$(grep -vc 'shop/intruder' "$LAB/out/refused" || true)" = 0 ] || lab_fail "chosen: $(cat "$LAB/out/refused")"

lab_say "what is kept"
expect_equal "the kept ones are those of the log" "$(events --last 4000)" "$(cat "$log")"
expect_equal "the last two" "$(events --last 2)" "$(tail -n 2 "$log")"
expect_equal "one of each pair" "$(events --last 4000 --from shop/web --to world | jq -r .IP.destination | sort -u)" 192.0.2.100
expect_equal "by block" "$(events --last 4000 --to 192.0.2.0/24 | jq -r .IP.destination | sort -u)" 192.0.2.100
expect_equal "by policy and verdict" "$(events --last 4000 --policy try-out --verdict AUDIT,DROPPED | jq -r .verdict | sort -u)" AUDIT
expect_equal "by reason" "$(events --last 4000 --reason spoofed-address | jq -r .IP.source | sort -u)" 10.99.0.1
expect_equal "since the future" "$(events --since 2100-01-01T00:00:00Z)" ""
expect_equal "since a minute ago" "$(count "$(events --since 1m)")" "$(wc -l <"$log")"
expect_match "left out" "$(lab_ctl observe --last 1 2>&1 >/dev/null)" 'earlier ones left out'
status=0
lab_ctl observe --port 80/XYZ >/dev/null 2>&1 || status=$?
expect_equal "exit status of a wrong filter" "$status" 2

lab_say "hostile names in every output"
lab_pod_new evil
lab_pod_attach evil --pod "shop/$hostile" || lab_fail "ADD of evil: $(cat "$LAB/out/evil")"
lab_try evil "tcp,${LAB_POD_IP4[db]},5432" >/dev/null
eventually "the hostile pod is told" 5 hostile_is_told
for form in json text yaml; do
    shown=$(lab_ctl observe --last 4000 -o "$form")
    [[ $shown = *evil* ]] || lab_fail "observe -o $form does not show the pod"
    [ "$(LC_ALL=C grep -c $'[\x01-\x08\x0b-\x1f\x7f]\|\xe2\x80\xae' <<<"$shown" || true)" = 0 ] ||
        lab_fail "observe -o $form shows control characters: $(cat -v <<<"$shown" | grep evil | head -c 2000)"
done
expect_equal "the name comes back" "$(events --last 4000 --reason pending | jq -r .source.pod_name | sed -n 1p)" "$hostile"
lab_cni del evil >"$LAB/out/evil" || lab_fail "DEL of evil: $(cat "$LAB/out/evil")"
lab_pod_forget evil

lab_say "a full disk: enforcement goes on, said once, and it goes on later"
# drops of 360 kinds, more than a file of the log has room for
flood() {
    local i port
    local -a probes
    for i in {1..6}; do
        probes=()
        for port in {1..60}; do
            probes+=("tcp,${LAB_POD_IP4[db]},$((i * 1000 + port))")
        done
        lab_try intruder "${probes[@]}" >/dev/null
    done
}
dd if=/dev/zero of="$disk/filler" bs=64k count=100 2>/dev/null || true
lab_try web "tcp,${LAB_POD_IP4[db]},5432" >/dev/null
LAB_TIMEOUT_MS=100 flood
eventually "the full disk is in the status" 10 log_is '.problem != null'
expect_match "status" "$(lab_ctl status)" 'event log: +[^ ]*events.log, [0-9]+ lines.*; cannot write .*: No space left on device'
expect_equal "enforcement with a full disk" "$(lab_reach web db tcp 5432) $(lab_reach intruder db tcp 5432)" "ok timeout"
expect_equal "said once" "$(grep -c 'event log: cannot write' "$LAB/daemon.log")" 1
rm "$disk/filler"
eventually "the log goes on" 10 log_is '.problem == null'
LAB_TIMEOUT_MS=100 flood
sleep 1.2
LAB_TIMEOUT_MS=100 flood
sleep 1.2
[ -e "$log.1" ] || lab_fail "no rotation: $(ls -l "$disk")"
[ ! -e "$log.3" ] || lab_fail "more files than asked for: $(ls -l "$disk")"
for file in "$log" "$log.1" "$log.2"; do
    [ ! -e "$file" ] || [ "$(stat -c %s "$file")" -le 65536 ] || lab_fail "too large: $(ls -l "$disk")"
done
cat "$log.2" "$log.1" "$log" 2>/dev/null >"$LAB/out/all"
expect_equal "whole lines across rotation, and none twice" "$(jq -r '.uuid // "lost"' "$LAB/out/all" | sort | uniq -d | grep -v lost || true)" ""
events --last 4000 | sed -n "/$(head -n 1 "$LAB/out/all" | jq -r .uuid)/,\$p" | sed -n "1,$(wc -l <"$LAB/out/all")p" >"$LAB/out/kept"
cmp "$LAB/out/kept" "$LAB/out/all" || lab_fail "the log's files are not what is kept: $(diff "$LAB/out/kept" "$LAB/out/all" | head -c 2000)"

lab_say "thousands of connections to the socket"
lab_background node crowd "$LAB_TOOLS/crowd" "$LAB_SOCKET" 3000 3
crowd=$LAB_PID
eventually "the crowd is there" 10 grep -q connected "$LAB/out/crowd"
before=$(date +%s%N)
lab_pod_add late app=web
took=$((($(date +%s%N) - before) / 1000000))
expect_equal "a pod that starts meanwhile" "$(lab_reach late db tcp 5432)" ok
lab_say "ADD among 3,000 connections: $took ms"
before=$(date +%s%N)
[ -n "$(events --last 1)" ] || lab_fail "no answer among 3,000 connections"
lab_say "an answer among 3,000 connections: $((($(date +%s%N) - before) / 1000000)) ms"
wait "$crowd"
lab_say "$(tail -n 1 "$LAB/out/crowd")"

lab_say "an observer that never reads"
lab_background node sleeper "$LAB_TOOLS/crowd" "$LAB_SOCKET" 1 30 '{"op":"observe","last":4000}'
sleeper=$LAB_PID
eventually "it is there" 5 observers_are 1
follow awake -o json --verdict DROPPED
awake=$LAB_PID
LAB_TIMEOUT_MS=100 flood
eventually "what the limits left out is told" 5 has "$LAB/out/awake" '.event == "suppressed" and .suppressed > 0'
sleep 1.2 # limits count by the second
lab_try intruder "tcp,${LAB_POD_IP4[db]},7777" >/dev/null
eventually "others get theirs" 5 has "$LAB/out/awake" '.l4.TCP.destination_port == 7777'
kill "$awake" "$sleeper"
wait "$awake" "$sleeper" 2>/dev/null || true

lab_say "who may ask"
as() {
    setpriv --reuid 65534 --regid "$1" "${@:2}"
}
expect_match "a stranger" "$(as 65534 --clear-groups "$LAB_BIN/podfencectl" --socket "$LAB_SOCKET" observe --last 1 2>&1 || true)" 'Permission denied'
member=(as 65534 --groups 4711)
[ -n "$("${member[@]}" "$LAB_BIN/podfencectl" --socket "$LAB_SOCKET" observe --last 1 -o json)" ] || lab_fail "a member sees nothing"
answer=$("${member[@]}" "$LAB_TOOLS/crowd" "$LAB_SOCKET" 1 0 '{"op":"removed","containerId":"x","ifname":"y"}' 2>&1 || true)
expect_match "a member changes nothing" "$answer" 'removed is for root only'

lab_end
