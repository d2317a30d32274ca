#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# cut.sh: the emergency cut. In force before the command returns, in both directions, for what is
# established and what is new; undone by hand, by its time, by the kernel alone; kept by a daemon
# that is started again.
# And `status --wait`: what is in force, and since when.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/lab.sh"
lab_enter "$@"

data=$LAB_SOURCE/test/e2e/data
export LAB_GAP=400

is_before() {
    awk -v a="$1" -v b="$2" 'BEGIN { exit !(a < b) }'
}

is_cut() {
    [[ $(tail -n 1 "$LAB/out/$1") = cut* ]]
}

goes_on() {
    [[ $(tail -n 1 "$LAB/out/$1") = resumed* ]]
}

reaches() {
    [ "$(lab_reach "$1" "$2" "$3" "$4")" = ok ]
}

streams_start() {
    lab_stream into web api tcp 8080
    lab_stream into-udp web api udp 5353
    lab_stream out api db tcp 5432
}

# cut_off OPTION...: the id goes to ID, the moment of its return on the clock of the streams to RETURNED.
cut_off() {
    local answer
    BEGUN=$(lab_now)
    answer=$(lab_ctl cut -o json "$@")
    RETURNED=$(lab_now)
    ID=$(jq -r .id <<<"$answer")
    expect_equal "is it in force" "$(jq .inForce <<<"$answer")" true
}

# Every stream had its last answer before the command returned.
cut_by_then() {
    local stream
    for stream in into into-udp out; do
        eventually "$stream is cut" 5 is_cut "$stream"
        # what had been let through before may be on its way for a moment; the times are in tenths
        is_before "$(lab_stream_time "$stream" cut)" "$(awk -v t="$RETURNED" 'BEGIN { printf "%.1f", t + 5 }')" ||
            lab_fail "the last byte of $stream came $(lab_since "$(lab_stream_time "$stream" cut)" "$RETURNED") ms after the command had returned"
    done
}

streams_stop() {
    local stream
    for stream in into into-udp out; do
        lab_stream_stop "$stream"
    done
}

# refused TEXT COMMAND...: misuse is exit status 2, and says what is wrong
refused() {
    local text=$1 said status=0
    shift
    said=$(lab_ctl "$@" 2>&1) || status=$?
    expect_match "podfencectl $*" "$said" "$text"
    expect_equal "exit status of podfencectl $*" "$status" 2
}

lab_chain bridge
lab_object policies <"$data/shop.yaml"
lab_swap
lab_daemon_start
lab_pods_add web api db intruder
LAB_GAP=5000 lab_stream other intruder web tcp 8080

lab_say "wrong arguments are named"
refused "for is missing" cut app=api
refused "every pod of every namespace" cut --for 1m
refused "no label selector" cut api --for 1m
refused "not a port such as" cut app=api --port http --for 1m
refused "not a duration" cut app=api --for 31d
refused "ID of a cut, or --all" cut undo

lab_say "a dry run changes nothing"
answer=$(lab_ctl cut shop/app=api --for 1m --dry-run -o json)
expect_equal "whom it would cut" "$(jq -c .endpoints <<<"$answer")" '["shop/api"]'
expect_equal "cuts after a dry run" "$(lab_ctl cut list -o json | jq '.cuts | length')" 0

lab_say "what is established and what is new, both directions, nobody else"
streams_start
cut_off app=api --for 10m --reason 'incident 7'
cut_by_then
lab_say "the command took $(lab_since "$RETURNED" "$BEGUN") ms"
lab_expect <<'TABLE'
web > api tcp 8080 deny
api > db tcp 5432 deny
api > web tcp 8080 deny
intruder > web tcp 8080 ok
node > api udp 53 ok
TABLE
listed=$(lab_ctl cut list -o json | jq -c '.cuts[] | [.id, .selector, .origin, .reason, .endpoints, .policy]')
expect_equal "what is listed" "$listed" "[\"$ID\",\"app=api\",\"user\",\"incident 7\",[\"shop/api\"],\"ClusterSegmentPolicy/cut-$ID\"]"
expect_match "what trace says" "$(lab_ctl trace --from shop/web --to shop/api --port 8080/TCP -o json)" \
    "\"ClusterSegmentPolicy/cut-$ID\""

lab_say "undone by hand: new connections at once, and the same streams go on"
lab_ctl cut undo "$ID" >/dev/null
lab_expect <<'TABLE'
web > api tcp 8080 ok
api > db tcp 5432 ok
TABLE
for stream in into into-udp out; do
    eventually "$stream goes on" 10 goes_on "$stream"
done
expect_equal "cuts after undoing" "$(lab_ctl cut list -o json | jq '.cuts | length')" 0
expect_equal "what is kept of cuts" "$(ls "$LAB/state/cuts.json" 2>/dev/null || true)" ""
status=0
said=$(lab_ctl cut undo "$ID" 2>&1) || status=$?
expect_equal "exit status of undoing it again" "$status" 1
expect_match "undoing it again" "$said" "there is no cut $ID"

lab_say "one peer and port, one direction"
cut_off shop/app=api --peer app=web --port 8080/TCP --direction ingress --for 10m
lab_expect <<'TABLE'
web > api tcp 8080 deny
web > api udp 5353 ok
api > web tcp 8080 ok
api > db tcp 5432 ok
TABLE
lab_ctl cut undo --all >/dev/null

lab_say "its time is over while the daemon runs"
begin=$EPOCHSECONDS
cut_off app=api --for 3s
eventually "the cut ends" 6 reaches web api tcp 8080
[ $((EPOCHSECONDS - begin)) -ge 3 ] || lab_fail "it ended after $((EPOCHSECONDS - begin)) s of 3"
eventually "the list is empty" 2 test "$(lab_ctl cut list -o json | jq -c .cuts)" = '[]'

lab_say "the daemon is started again in the middle: the cut stays, and writes nothing"
cut_off app=api --for 10m
lab_daemon_kill
lab_daemon_start
expect_equal "map writes of the first apply" "$(lab_status .lastApply.writes)" 0
expect_equal "the cut that it has kept" "$(lab_ctl cut list -o json | jq -r '.cuts[].id')" "$ID"
lab_expect <<'TABLE'
web > api tcp 8080 deny
api > db tcp 5432 deny
TABLE
lab_ctl cut undo --all >/dev/null

lab_say "the daemon dies right after the command: two cuts, each undone in time all the same"
lab_ctl cut shop/app=api --peer app=web --port 5353/UDP --direction ingress --for 6s >/dev/null
begin=$EPOCHSECONDS
cut_off app=api --for 3s
lab_daemon_kill
expect_equal "a connection of the time" "$(lab_reach web api tcp 8080)" timeout
eventually "the first cut ends" 6 reaches web api tcp 8080
took=$((EPOCHSECONDS - begin))
[ "$took" -ge 3 ] && [ "$took" -le 5 ] || lab_fail "it ended after $took s of 3"
[ "$took" -gt 4 ] || expect_equal "what the other one cuts" "$(lab_reach web api udp 5353)" timeout
eventually "the second cut ends" 5 reaches web api udp 5353
took=$((EPOCHSECONDS - begin))
[ "$took" -ge 5 ] && [ "$took" -le 8 ] || lab_fail "the second ended after $took s of 6"
lab_daemon_start
reaches web api tcp 8080 || lab_fail "what was over is cut again by the next daemon"
expect_equal "cuts that the next daemon has" "$(lab_ctl cut list -o json | jq -c .cuts)" '[]'

lab_say "waiting for a policy that comes later, by the file that it is in"
policy=$LAB/out/later.yaml
cat >"$policy" <<'YAML'
apiVersion: podfence.io/v1alpha1
kind: SegmentPolicy
metadata: { name: later, namespace: shop }
spec:
  mode: Denylist
  appliesTo: { podSelector: { matchLabels: { app: web } } }
  ingress: [ { from: [ { podSelector: { matchLabels: { app: api } } } ] } ]
YAML
expect_equal "before" "$(lab_reach api web tcp 8080)" ok
lab_background node waited "$LAB_BIN/podfencectl" --socket "$LAB_SOCKET" status --wait later --file "$policy" --timeout 20s
lab_object later <"$policy"
lab_swap
wait "$LAB_PID" || lab_fail "status --wait: $(cat "$LAB/out/waited")"
expect_equal "as soon as it has returned" "$(lab_reach api web tcp 8080)" timeout
expect_match "what it says" "$(cat "$LAB/out/waited")" '^SegmentPolicy/shop/later is in force since 2'
lab_ctl status --wait SegmentPolicy/shop/later >/dev/null
row=$(lab_ctl policies -o json | jq -c '.policies[] | select(.id == "SegmentPolicy/shop/later") |
    [.state, .endpoints, .seenAt <= .compiledAt, .compiledAt <= .inForceSince]')
expect_equal "its row" "$row" '["in force",["shop/web"],true,true]'
expect_match "endpoints have their times" "$(lab_ctl endpoints -o json | jq -c '[.endpoints[].since]')" \
    '^."20[^,]*Z","20[^,]*Z","20[^,]*Z","20[^,]*Z".$'

lab_say "a policy that is refused, and one that does not come"
sed 's/Denylist/Blacklist/' "$policy" | lab_object later
lab_swap
status=0
said=$(lab_ctl status --wait shop/later 2>&1) || status=$?
expect_equal "exit status for a refused one" "$status" 1
expect_match "why" "$said" 'refused: .*Blacklist'
status=0
said=$(lab_ctl status --wait never --timeout 1s 2>&1) || status=$?
expect_equal "exit status for one that does not come" "$status" 1
expect_match "why" "$said" 'never is not in force: there is no such policy'
lab_object_remove later
lab_publish

streams_stop
expect_equal "what happened to the stream that was not cut" "$(grep -v '^start' "$LAB/out/other" || true)" ""
kill -0 "${LAB_STREAM[other]}"
lab_stream_stop other
lab_end
