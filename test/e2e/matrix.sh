#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# matrix.sh bridge|ptp tcx|clsact [same-node]: who reaches whom by real traffic of every protocol and both
# families; a new label moves a pod, a Denylist cuts an established stream and gives it back.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/lab.sh"
lab_enter "$@"

data=$LAB_SOURCE/test/e2e/data
attach=$2

lab_say "four pods through $1, filters by $attach"
lab_chain "$1"
lab_object policies <"$data/shop.yaml"
lab_swap
[ "${3:-}" != same-node ] || LAB_DAEMON_OPTIONS="--same-node on"
lab_daemon_start --attach "$attach"
lab_pods_add web api db intruder
[ "${3:-}" != same-node ] || eventually "the pods are on the same-node path" 10 lab_path_is true web api db intruder

[ "$attach" = tcx ] && filters="1 1 0 0" || filters="0 0 1 1"
for pod in web api db intruder; do
    expect_equal "filters on the veth of $pod" "$(lab_filters "$(lab_host_veth "$pod")")" "$filters"
done
lab_expect <"$data/shop.table"

lab_say "no policy left: all reach all, then the policies again"
lab_object_remove policies
lab_publish
sed -n 's/ deny$/ ok/p' "$data/shop.table" | lab_expect
lab_object policies <"$data/shop.yaml"
lab_publish
lab_expect <"$data/shop.table"

lab_say "a new label moves a pod"
lab_pod_object intruder app=api
lab_publish
lab_expect <"$data/relabelled.table"
lab_pod_object intruder app=intruder
lab_publish
lab_expect <"$data/shop.table"

# shown FROM TO: how many drops between the two the observer has shown.
shown() {
    jq -s --arg from "$1" --arg to "$2" 'map(select(.verdict == "DROPPED"
        and ([.source.pod_name, .destination.pod_name] | sort) == ([$from, $to] | sort))) | length' "$LAB/out/events"
}

# By its last word: a stream that a busy machine stalled says both too.
is_cut() {
    [[ $(tail -n 1 "$LAB/out/$1") = cut* ]]
}
goes_on() {
    [[ $(tail -n 1 "$LAB/out/$1") = resumed* ]]
}

lab_say "a Denylist cuts what runs, and its removal gives it back"
lab_stream tcp4 api db tcp 5432 4
lab_stream tcp6 api db tcp 5432 6
# a busy machine may stall a stream for a moment: what was dropped is counted, and must be nothing
LAB_GAP=5000 lab_stream other web api tcp 8080 4
LAB_GAP=5000 lab_stream datagrams web api udp 5353 6
lab_background node events "$LAB_BIN/podfencectl" --bpffs "$LAB_BPFFS" --socket "$LAB_SOCKET" observe -f -o json --verdict DROPPED
observer=$LAB_PID
observes() {
    lab_try intruder "tcp,${LAB_POD_IP4[db]},5432" >/dev/null
    [ "$(shown intruder db)" -gt 0 ]
}
LAB_TIMEOUT_MS=50 eventually "the observer runs" 5 observes
lab_object cut <"$data/cut.yaml"
lab_publish
for stream in tcp4 tcp6; do
    eventually "$stream is cut" 5 is_cut "$stream"
done
lab_expect <"$data/cut.table"
lab_object_remove cut
lab_publish
for stream in tcp4 tcp6; do
    eventually "$stream goes on" 10 goes_on "$stream"
    kill -0 "${LAB_STREAM[$stream]}"
done
lab_try intruder "tcp,${LAB_POD_IP6[web]},5432" >/dev/null
seen_last() {
    [ "$(shown intruder web)" -gt 0 ]
}
eventually "the observer has shown all" 5 seen_last
[ "$(shown api db)" -gt 0 ] || lab_fail "the observer has not seen what the Denylist cut"
# of refused probes a packet may still be on its way: drops are asked by who sent them
expect_equal "drops of the streams that no policy forbids" "$(jq -c 'select(.source.pod_name == "web" or .destination.pod_name == "web")
    | select(.source.pod_name != "intruder" and .destination.pod_name != "intruder") | del(.Summary)' "$LAB/out/events")" ""
kill "$observer"
wait "$observer" 2>/dev/null || true
for stream in other datagrams; do
    expect_equal "what happened to the stream $stream, which no policy forbids" "$(grep -v '^start' "$LAB/out/$stream" || true)" ""
    kill -0 "${LAB_STREAM[$stream]}"
done
lab_expect <"$data/shop.table"
for stream in tcp4 tcp6 other datagrams; do
    lab_stream_stop "$stream"
done

lab_end
