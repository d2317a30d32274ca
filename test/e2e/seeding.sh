#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# seeding.sh bridge|ptp iptables|nft: pods that ran before the daemon, with connections open that conntrack
# knows. They are judged by who opened them from the first packet on: no answer is dropped, and none
# needs the rules of a recovery; what policy does not allow is cut in both directions.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/lab.sh"
# shellcheck source=test/e2e/lab-services.sh
source "$LAB_SOURCE/test/e2e/lab-services.sh"
# shellcheck source=test/e2e/lab-proxy.sh
source "$LAB_SOURCE/test/e2e/lab-proxy.sh"
lab_enter "$@"

# reader NAME FROM ADDRESS PORT [udp]: it connects, and from then on only the other side speaks.
declare -A reader=()
reader() {
    lab_background "$2" "$1" "$LAB_SOURCE/test/e2e/push.py" read "${@:3}"
    reader[$1]=$LAB_PID
    eventually "$1 is open" 10 grep -q '^open' "$LAB/out/$1"
}

# What the data path did: packets by the names of reasons.
counters() {
    lab_ctl status -o json | jq -c --args '[.pins.counters[] | select(.packets > 0 and
        (.reason as $reason | $ARGS.positional | index($reason))) | {reason, direction, packets}]' "$@"
}

# "POD:OPENER" of all connections.
openers() {
    lab_ctl connections -o json | jq -r '[.connections[] | (.endpoint | sub("shop/"; "")) + ":" + .openedBy] | unique | join(" ")'
}

all_resolved() {
    [ "$(lab_status '.endpoints | [.enforced, .pending, .exempt]')" = '[5,0,0]' ]
}

# Remote addresses of all that was refused; entries without one are of the limit for all of an endpoint.
refused() {
    bpftool -j map dump pinned "$LAB_BPFFS/$LAB_LAYOUT/maps/event_limits" |
        jq -r '[.[].key[8:24] | map(sub("0x"; "")) | join("")] | unique | map(select(test("[^0]"))) | join(" ")'
}

# address4 ADDRESS: as refused has it.
address4() {
    local -a bytes
    IFS=. read -ra bytes <<<"$1"
    printf '%s' 00000000000000000000ffff
    printf '%02x' "${bytes[@]}"
}

# taken_over TIMES
taken_over() {
    [ "$(grep -cE '[0-9]+ connections of 5 pods' "$LAB/daemon.log")" = "$1" ]
}

# is_cut NAME: now, not only once: a busy machine makes a stream wait, too.
is_cut() {
    [[ $(tail -n 1 "$LAB/out/$1") == cut* ]]
}

# resumed NAME: how often it has gone on after a pause
resumed() {
    grep -c '^resumed' "$LAB/out/$1" || true
}

declare -A resumed=()

# Not one answer was dropped, and nothing unlawful goes on.
as_lawful() {
    local name
    expect_equal "let through by the rules of a recovery" "$(counters recovery reverse-rule masqueraded)" "[]"
    expect_equal "refused" "$(refused)" "$(address4 "$(lab_address intruder 4)")"
    for name in unlawful unlawful-udp; do
        expect_equal "how often $name went on" "$(resumed "$name")" "${resumed[$name]}"
        is_cut "$name" || lab_fail "$name goes on: $(cat "$LAB/out/$name")"
    done
    for name in echo-4 echo-6 echo-udp-4 echo-udp-6 back; do
        expect_equal "what happened to $name" "$(grep -v '^start' "$LAB/out/$name" || true)" ""
        kill -0 "${LAB_STREAM[$name]}"
    done
}

lab_say "pods before the daemon, behind kube-proxy's rules for $2"
lab_chain "$1" '{"failurePolicy": "open"}'
servers=()
for pod in db api web talker intruder; do
    lab_pod_new "$pod"
    lab_pod_object "$pod" "app=$pod"
    lab_pod_attach "$pod" || lab_fail "ADD with failurePolicy open: $(cat "$LAB/out/$pod")"
    lab_pod_object "$pod" "app=$pod"
    lab_pod_serve "$pod"
    lab_background "$pod" "push-$pod" "$LAB_SOURCE/test/e2e/push.py" serve 8090
    servers+=("$LAB_PID")
done
lab_services <<'SERVICES'
web tcp 82 8090 30041 Cluster web
web-udp udp 82 8090 30042 Cluster web
SERVICES
lab_proxy "$2"
ip route add default via 192.0.2.100
ip route add default via 2001:db8:2::100
lab_object policies <"$LAB_SOURCE/test/e2e/data/seeding.yaml"
lab_swap
lab_outside_ready

lab_say "what they have open"
export LAB_GAP=1000 # one retransmission is no cut
for family in 4 6; do
    db=$(lab_address db "$family") web=$(lab_address web.cluster "$family") udp=$(lab_address web-udp.cluster "$family")
    lab_stream "echo-$family" api db tcp 5432 "$family"
    lab_stream "echo-udp-$family" api db udp 5353 "$family"
    reader "pod-$family" api "$db" 8090
    reader "pod-udp-$family" api "$db" 8090 udp
    reader "cluster-$family" api "$web" 82
    reader "cluster-udp-$family" api "$udp" 82 udp
    reader "node-$family" node "$db" 8090
    reader "node-udp-$family" node "$db" 8090 udp
    reader "node-cluster-$family" node "$web" 82
    reader "outside-$family" outside "$(lab_address node "$family")" 30041
    reader "outside-udp-$family" outside "$(lab_address node "$family")" 30042 udp
done
lab_stream back talker intruder tcp 5432
lab_stream unlawful intruder talker tcp 5432
lab_stream unlawful-udp intruder talker udp 5353
sleep 2.5 # a UDP flow counts as one that lasts

lab_say "the daemon comes"
lab_daemon_start
eventually "all are resolved" 10 all_resolved
taken_over 1 || lab_fail "the log does not say what was taken over"
for name in unlawful unlawful-udp; do
    eventually "$name is cut" 5 is_cut "$name"
    resumed[$name]=$(resumed "$name")
done
opened="api:pod db:node db:peer intruder:peer intruder:pod talker:peer talker:pod web:node web:peer"
expect_equal "who opened what" "$(openers)" "$opened"
sleep 8 # longer than FENCE_SECONDS_ANSWERS
as_lawful

lab_say "one that is killed within a minute: the next takes them over again"
lab_daemon_kill
lab_daemon_start
eventually "the daemon's log" 5 taken_over 2
expect_equal "who opened what" "$(openers)" "$opened"
sleep 1
as_lawful
for name in "${!reader[@]}"; do
    kill "${reader[$name]}" 2>/dev/null || true
    status=0
    wait "${reader[$name]}" || status=$?
    expect_equal "$name: $(tr '\n' ' ' <"$LAB/out/$name")" "$status" 0
done
for name in "${!LAB_STREAM[@]}"; do
    lab_stream_stop "$name"
done
kill "${servers[@]}"
lab_end
