#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# expiry.sh bridge|ptp: a policy with expiresAt is undone by itself, never before that second and not
# a second after it: by the daemon, by one that was started again meanwhile, and by the kernel alone,
# several ends of one pod too.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/lab.sh"
lab_enter "$@"

data=$LAB_SOURCE/test/e2e/data

# A busy machine may stall a stream for as long, which then says cut and resumed too: what counts is
# what it says once the policy is in force.
export LAB_GAP=500
# lab_object_until NAME SPEC: a SegmentPolicy of so many seconds; the second in which it ends goes to
# EXPIRY, and that moment on the clock of the streams to END.
lab_object_until() {
    EXPIRY=$(($(date +%s) + LIFE))
    END=$("$LAB_TOOLS/netprobe" at "$EXPIRY")
    lab_object "$1" <<YAML
apiVersion: podfence.io/v1alpha1
kind: SegmentPolicy
metadata: { name: $1, namespace: shop }
spec: { enforcement: Enforce, expiresAt: "$(date -u -d "@$EXPIRY" +%FT%TZ)", $2 }
YAML
}

cut_until() {
    lab_object_until cut "mode: Denylist, appliesTo: { podSelector: { matchLabels: { app: api } } },
        ingress: [ { from: [ { podSelector: { matchLabels: { app: web } } } ] } ]"
}

# is_before TIME TIME: both on the clock of the streams
is_before() {
    awk -v a="$1" -v b="$2" 'BEGIN { exit !(a < b) }'
}

# The test itself must not have been stalled for so long that it has shown nothing.
in_time() {
    is_before "$(lab_now)" "$END" || lab_fail "the machine is too busy: $1 took longer than $LIFE s"
}

# sleep_until MS_AFTER_THE_END
sleep_until() {
    sleep "$(awk -v a="$END" -v b="$(lab_now)" -v more="$1" 'BEGIN { d = (a + more - b) / 1000; print (d > 0 ? d : 0) }')"
}

# drops REASON
drops() {
    lab_ctl status -o json | jq --arg reason "$1" '[.pins.counters[] | select(.reason == $reason) | .packets] | add // 0'
}

streams=(udp4 udp6 tcp4 tcp6)

streams_start() {
    lab_stream udp4 web api udp 5353 4
    lab_stream udp6 web api udp 5353 6
    lab_stream tcp4 web api tcp 8080 4
    lab_stream tcp6 web api tcp 8080 6
}

streams_stop() {
    local stream
    for stream in "${streams[@]}"; do
        lab_stream_stop "$stream"
    done
}

resumptions() {
    grep -c '^resumed' "$LAB/out/$1" || true
}

is_cut() {
    [[ $(tail -n 1 "$LAB/out/$1") = cut* ]]
}

has_gone_on() {
    [ "$(resumptions "$1")" -gt "${BEFORE[$1]}" ]
}

# Publishes the Denylist, which cuts at once all that runs and all that is new. Leaves in BEFORE how
# often each stream had gone on by then.
declare -A BEFORE=()
cut_now() {
    local stream published begin
    cut_until
    begin=$(lab_now)
    lab_publish
    published=$(lab_now)
    for stream in "${streams[@]}"; do
        eventually "$stream is cut" 3 is_cut "$stream"
        is_before "$(lab_stream_time "$stream" cut)" "$(awk -v t="$published" 'BEGIN { printf "%.1f", t + 1000 }')" ||
            lab_fail "$stream was cut only $(lab_since "$(lab_stream_time "$stream" cut)" "$begin") ms after the policy was published"
    done
    lab_expect <<'TABLE'
web > api tcp 8080 deny
web > api udp 5353 deny
api > db tcp 5432 ok
TABLE
    for stream in "${streams[@]}"; do
        BEFORE[$stream]=$(resumptions "$stream")
    done
    in_time "cutting"
}

# The end is near, and packets are still dropped, where the machine is quick enough to look; that no
# stream has gone on is seen afterwards, by the times.
still_cut() {
    local before
    sleep_until -2500
    before=$(drops denylist)
    is_before "$(lab_now)" "$(awk -v t="$END" 'BEGIN { printf "%.1f", t - 1500 }')" || return 0
    sleep_until -1000
    [ "$(drops denylist)" -gt "$before" ] || lab_fail "nothing is dropped any more shortly before the end"
}

# Nothing may be dropped from one second after the end on, and every stream goes on, none before the
# end; how soon a stream of a busy machine sees it is not podfence's business.
undone() {
    local stream resumed before soonest=
    sleep_until 1000
    before=$(drops denylist)
    for stream in "${streams[@]}"; do
        # TCP sends again in its own time
        eventually "$stream goes on" 20 has_gone_on "$stream"
        resumed=$(awk -v before="${BEFORE[$stream]}" '$1 == "resumed" && before-- == 0 { print $2 }' "$LAB/out/$stream")
        # the times are printed in tenths
        ! is_before "$resumed" "$(awk -v t="$END" 'BEGIN { printf "%.1f", t - 0.1 }')" ||
            lab_fail "$stream went on $(lab_since "$END" "$resumed") ms before the end"
        [ -n "$soonest" ] && is_before "$soonest" "$resumed" || soonest=$resumed
    done
    is_before "$soonest" "$(awk -v t="$END" 'BEGIN { printf "%.1f", t + 1000 }')" ||
        lab_fail "nothing went on within a second after the end, but after $(lab_since "$soonest" "$END") ms"
    sleep 0.3
    expect_equal "packets dropped later than a second after the end" "$(drops denylist)" "$before"
    lab_say "the first stream goes on $(lab_since "$soonest" "$END") ms after the end"
}

lab_chain "$1"
lab_object policies <"$data/shop.yaml"
lab_swap
lab_daemon_start
lab_pods_add web api db intruder
# So many seconds is a policy in force: enough for a busy machine to get it there and look at it.
begin=$SECONDS
lab_expect <"$data/shop.table"
LIFE=$((6 + 3 * (SECONDS - begin)))
LAB_GAP=5000 lab_stream other api db tcp 5432

lab_say "a Denylist ends while the daemon runs"
streams_start
cut_now
still_cut
undone
streams_stop
expect_equal "what the policy is now" \
    "$(lab_ctl policies -o json | jq -r '.policies[] | select(.id == "SegmentPolicy/shop/cut") | .state')" expired
lab_expect <"$data/shop.table"

lab_say "the daemon is killed, and started again before the end"
streams_start
cut_now
lab_daemon_kill
lab_daemon_start
writes=$(lab_status .lastApply.writes)
in_time "starting again"
expect_equal "map writes of the first apply" "$writes" 0
still_cut
undone
streams_stop

lab_say "the daemon is dead at the end: the kernel's clock takes over"
streams_start
cut_now
lab_daemon_kill
still_cut
undone
lab_expect <"$data/shop.table"
before=$(drops denylist)
lab_daemon_start
lab_expect <"$data/shop.table"
expect_equal "packets dropped by what ended before the start" "$(drops denylist)" "$before"
streams_stop
lab_object_remove cut
lab_publish

# deny_until STREAM SECONDS SPEC: a Denylist of the pod api that ends so much later than it would.
declare -A ENDS=()
deny_until() {
    LIFE=$((LIFE + $2)) lab_object_until "$1" "mode: Denylist, appliesTo: { podSelector: { matchLabels: { app: api } } }, $3"
    ENDS[$1]=$END
}

lab_say "three ends while the daemon is dead: one after the other"
lab_stream udp4 web api udp 5353 4
lab_stream tcp4 web api tcp 8080 4
lab_stream out4 api web tcp 8080 4
deny_until out4 4 "egress: [ { to: [ { podSelector: { matchLabels: { app: web } } } ] } ]"
deny_until udp4 2 "ingress: [ { ports: [ { protocol: UDP, port: 5353 } ] } ]"
deny_until tcp4 0 "ingress: [ { ports: [ { protocol: TCP, port: 8080 } ] } ]"
lab_publish
for stream in "${!ENDS[@]}"; do
    eventually "$stream is cut" 3 is_cut "$stream"
    BEFORE[$stream]=$(resumptions "$stream")
done
lab_daemon_kill
in_time "cutting three times"
for stream in tcp4 udp4 out4; do
    # TCP sends again in its own time
    eventually "$stream goes on" 20 has_gone_on "$stream"
    resumed=$(awk -v before="${BEFORE[$stream]}" '$1 == "resumed" && before-- == 0 { print $2 }' "$LAB/out/$stream")
    ! is_before "$resumed" "$(awk -v t="${ENDS[$stream]}" 'BEGIN { printf "%.1f", t - 0.1 }')" ||
        lab_fail "$stream went on $(lab_since "${ENDS[$stream]}" "$resumed") ms before its end"
    lab_say "$stream goes on $(lab_since "$resumed" "${ENDS[$stream]}") ms after its end"
    lab_stream_stop "$stream"
done
lab_expect <"$data/shop.table"
lab_daemon_start
lab_expect <"$data/shop.table"
for stream in "${!ENDS[@]}"; do
    lab_object_remove "$stream"
done
lab_publish

# What an Allowlist lets through is refused from its end on; the kernel's time of the first drop tells.
refused() {
    jq -s 'map(select(.verdict == "DROPPED" and .source.pod_name == "intruder"
        and .destination.pod_name == "db" and .l4.UDP.destination_port == 53)) | sort_by(.time) | .[0].time // empty' \
        -r "$LAB/out/events" 2>/dev/null
}
is_refused() {
    [ -n "$(refused)" ]
}

lab_say "an Allowlist ends: what it let through is refused"
lab_object_until visit "mode: Allowlist, appliesTo: { podSelector: { matchLabels: { app: db } } },
    ingress: [ { from: [ { podSelector: { matchLabels: { app: intruder } } } ], ports: [ { protocol: UDP, port: 53 } ] } ]"
lab_publish
lab_stream visitor intruder db udp 53
lab_background node events "$LAB_BIN/podfencectl" --bpffs "$LAB_BPFFS" --socket "$LAB_SOCKET" observe -f -o json --verdict DROPPED
observer=$LAB_PID
in_time "starting to visit"
sleep_until 1000
expect_equal "a new visit a second after the end" "$(lab_reach intruder db udp 53)" timeout
# the visitor of a busy machine may come late, but then it is refused
eventually "the refusal is shown" 20 is_refused
eventually "the visitor is cut" 10 is_cut visitor
late=$(($(date -d "$(refused)" +%s%3N) - EXPIRY * 1000))
[ "$late" -ge 0 ] || lab_fail "the visitor was refused $((-late)) ms before the end"
lab_say "the first packet is refused $late ms after the end"
kill "$observer"
wait "$observer" 2>/dev/null || true
lab_stream_stop visitor
lab_expect <"$data/shop.table"

expect_equal "what happened to the stream that no policy forbids" "$(grep -v '^start' "$LAB/out/other" || true)" ""
kill -0 "${LAB_STREAM[other]}"
lab_stream_stop other
lab_end
