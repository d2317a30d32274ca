#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# alarms.sh: what is usual raises none; a real port scan does within 3 s of its first packet, allowed
# or denied, and cuts the scanning pod off by then, established connections included; never one that
# is exempted, never more than allowed. Forged packets, removed filters, a wrong configuration.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/lab.sh"
lab_enter "$@"

data=$LAB_SOURCE/test/e2e/data
config=$LAB/alarms.yaml
export LAB_GAP=300
SCAN_PORTS=$(seq 1000 1299)
LIMIT_MS=3000

# alarm FILTER: the alarms that a jq filter selects, as a list
alarms() {
    lab_ctl alarms -o json | jq -c "[.alarms[] | select($1)]"
}

raised() {
    [ "$(alarms ".state == \"raised\" and .rule == \"$1\" and .subject.name == \"$2\"")" != '[]' ]
}

answer() {
    alarms ".rule == \"port-scan\" and .subject.name == \"shop/$1\"" | jq -r '.[0].response // ""'
}

answered() {
    [[ $(answer "$1") = $2* ]]
}

is_cut() {
    [[ $(tail -n 1 "$LAB/out/$1") = cut* ]]
}

# The moment of its first packet goes to FIRST.
scan() {
    local from=$1 to port
    to=$(lab_address "$2" 4)
    local -a tries=()
    for port in $SCAN_PORTS; do
        tries+=("tcp,$to,$port")
    done
    FIRST=$(lab_now)
    LAB_TIMEOUT_MS=1000 lab_background "$from" "scan-$from" "$LAB_TOOLS/netprobe" try -t 1000 "${tries[@]}"
}

# scan_is_cut FROM TO: alarm and cut within LIMIT_MS, the stream of FROM among what ends.
scan_is_cut() {
    local said
    lab_stream "stream-$1" "$1" api tcp 8080
    scan "$1" "$2"
    until raised port-scan "shop/$1"; do sleep 0.02; done
    said=$(lab_since "$(lab_now)" "$FIRST")
    eventually "the stream of $1 is cut" 5 is_cut "stream-$1"
    local ended
    ended=$(lab_since "$(lab_stream_time "stream-$1" cut)" "$FIRST")
    lab_say "$1 scans $2: alarm seen $said ms, last byte of its stream $ended ms after the first packet"
    [ "$said" -le "$LIMIT_MS" ] || lab_fail "alarm after $said ms"
    [ "$ended" -le "$LIMIT_MS" ] || lab_fail "cut after $ended ms"
    expect_match "answer" "$(answer "$1")" "^cut: egress of shop/app=$1 for 60 s$"
    expect_equal "reaches api" "$(LAB_TIMEOUT_MS=200 lab_reach "$1" api tcp 80)" timeout
    lab_stream_stop "stream-$1"
}

# not_cut FROM TO ANSWER
not_cut() {
    scan "$1" "$2"
    eventually "the alarm about $1 is answered" 3 answered "$1" "$3"
    wait "$LAB_PID"
    expect_equal "$1 reaches api" "$(lab_reach "$1" api tcp 80)" ok
}

shop() {
    local until=$((SECONDS + $1))
    while [ "$SECONDS" -lt "$until" ]; do
        lab_expect <<'TABLE' >/dev/null
web > api tcp 8080 ok
api > db tcp 5432 ok
node > web tcp 80 ok
outside > web tcp 8080 ok
TABLE
        sleep 0.2
    done
}

cat >"$config" <<'YAML'
cutFor: 1m
maxCuts: 2
neverCut: [ shop/trusted ]
rules:
  port-scan: { respond: cut }
YAML

lab_chain bridge
lab_object policies <"$data/alarms.yaml"
lab_swap
lab_daemon_start --attach clsact --alarms-config "$config" --event-log "$LAB/events.jsonl"
lab_pods_add web api db thief other third trusted
lab_background node follow lab_ctl alarms -f -o json
follow=$LAB_PID

lab_say "a shop for some seconds: no alarm"
shop 3
expect_equal "alarms" "$(alarms true)" '[]'
expect_equal "alarms in the status" "$(lab_status .alarms)" '[]'

lab_say "port scans are cut off"
scan_is_cut thief api
expect_equal "severity" "$(lab_status '.alarms[0].severity')" '"critical"'
expect_match "status" "$(lab_ctl status | sed -n 1,3p)" 'ALARMS: .*port-scan +shop/thief \(pod thief\), about shop/api'
expect_match "cuts" "$(lab_ctl cut list -o json | jq -c '.cuts[] | [.origin, .reason]')" '\["alarm","alarm [0-9]+ port-scan"\]'
scan_is_cut other db

lab_say "no more than maxCuts, and nobody who is exempted"
not_cut third db 'not cut: 2 cuts are in force, maxCuts is 2'
not_cut trusted api 'not cut: it is exempted by neverCut'
expect_equal "cuts" "$(lab_ctl cut list -o json | jq '.cuts | length')" 2

lab_say "forged packets"
for source in 10.88.0.77 10.88.0.78 10.88.0.79; do
    lab_in web "$LAB_TOOLS/netprobe" forge "$source" "$(lab_address api 4)" 53
done
eventually "spoofing is an alarm" 3 raised spoofing shop/web

lab_say "a removed filter"
tc qdisc del dev "$(lab_host_veth db)" clsact
eventually "it is an alarm" 5 raised filter-removed "this node"
expect_match "whose" "$(alarms '.rule == "filter-removed"')" '"peer":"shop/db"'

lab_say "a wrong configuration is named, and the last good one counts"
printf 'maxCuts: 1\nrules:\n  port-scam: {}\n' >"$config"
named() {
    [[ $(lab_status .alarming.problem) = *"alarms.yaml: line 3: rules["*"port-scam"*"unknown field"* ]]
}
eventually "it is named" 4 named

lab_say "cleared by hand"
id=$(alarms '.rule == "spoofing"' | jq '.[0].id')
lab_ctl alarms clear "$id"
expect_equal "state" "$(alarms ".id == $id" | jq -r '.[0].state')" cleared
status=0
lab_ctl alarms clear "$id" 2>"$LAB/out/clear" || status=$?
expect_equal "exit status" "$status" 1
expect_match "clear" "$(cat "$LAB/out/clear")" "no alarm $id is raised"

lab_say "who follows and the event log have been told"
kill "$follow"
wait "$follow" || true
expect_equal "changes of the first alarm" \
    "$(jq -r 'select(.subject.name == "shop/thief") | .change' "$LAB/out/follow" | sed -n 1,2p | xargs)" "raised answered"
lab_logged() {
    grep -q '"alarm":{.*"rule":"port-scan".*"change":"raised"' "$LAB/events.jsonl"
}
eventually "the event log has it" 3 lab_logged
expect_match "log" "$(cat "$LAB/daemon.log")" 'alarm [0-9]+ port-scan: shop/thief \(pod thief\): '

lab_say "what was learned is kept"
lab_daemon_stop
expect_equal "workloads" "$(jq '[.workloads[].name] | index("shop/web") != null' "$LAB/state/alarms.json")" true
lab_daemon_start --attach clsact
expect_match "workloads known" "$(lab_status .alarming.workloads)" '^[1-9]'
lab_ctl cut undo --all >/dev/null
lab_end
