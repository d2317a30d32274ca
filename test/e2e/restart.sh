#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# restart.sh bridge|ptp: the daemon is killed at any moment: no verdict changes, no lawful
# connection is cut, and a restart finds its own work again.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/lab.sh"
lab_enter "$@"

data=$LAB_SOURCE/test/e2e/data

# A busy machine may stall a stream for a moment; what was dropped is counted, and must be nothing.
export LAB_GAP=1000

drops() {
    lab_ctl status -o json | jq '[.pins.counters[] | select(.drop) | .packets] | add // 0'
}

uncut() {
    local stream
    for stream in tcp4 tcp6 udp4; do
        expect_equal "what happened to $stream" "$(grep -vc '^start' "$LAB/out/$stream" || true)" 0
        kill -0 "${LAB_STREAM[$stream]}"
    done
}

ready() {
    [ "$(lab_status .ready)" = true ]
}

lab_chain "$1"
lab_object policies <"$data/shop.yaml"
lab_swap
lab_daemon_start
lab_pods_add web api db intruder
lab_expect <"$data/shop.table"
lab_stream tcp4 api db tcp 5432 4
lab_stream tcp6 api db tcp 5432 6
lab_stream udp4 web api udp 5353 4

lab_say "killed: everything stays enforced"
lab_daemon_kill
lab_expect <"$data/shop.table"
uncut

lab_say "podfencectl answers from the pins"
lab_ctl status >"$LAB/out/status" || lab_fail "status without the daemon: $(cat "$LAB/out/status")"
expect_equal "endpoints listed" "$(lab_ctl endpoints -o json | jq '.endpoints | length')" 4
expect_match "trace by the kernel" "$(lab_ctl trace --from shop/web --to shop/db --port 5432/TCP -o json)" '"verdict": *"deny"'
expect_match "trace by the kernel" "$(lab_ctl trace --from shop/api --to shop/db --port 5432/TCP -o json)" '"verdict": *"allow"'

lab_say "restarted: nothing is written, nothing changes"
lab_daemon_start
eventually "ready" 5 ready
expect_equal "map writes of the first apply" "$(lab_status .lastApply.writes)" 0
lab_expect <"$data/shop.table"
uncut

lab_say "killed ten times in a row"
before=$(drops)
for _ in 1 2 3 4 5 6 7 8 9 10; do
    lab_daemon_kill
    lab_daemon_start
done
uncut
expect_equal "packets dropped meanwhile" "$(drops)" "$before"
lab_expect <"$data/shop.table"

lab_say "what changed while it was down takes effect when it is back"
lab_daemon_kill
lab_pod_object intruder app=api
lab_swap
lab_expect <"$data/shop.table"
lab_daemon_start
lab_publish
lab_expect <"$data/relabelled.table"
uncut

lab_say "DEL and ADD while it is down"
lab_daemon_kill
lab_pod_del intruder
lab_pod_new second
lab_pod_object second app=api
lab_swap
lab_pod_attach second || lab_fail "ADD without a daemon: $(cat "$LAB/out/second")"
lab_pod_serve second
lab_expect <<'TABLE'
second > db tcp 5432 deny
second > outside icmp 0 deny
node > second tcp 80 ok
TABLE
lab_daemon_start
lab_publish
lab_expect <<'TABLE'
second > db tcp 5432 ok
second > db tcp 80 deny
TABLE
uncut

for stream in tcp4 tcp6 udp4; do
    lab_stream_stop "$stream"
done
lab_end
