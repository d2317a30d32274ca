#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# matrix.sh bridge|ptp tcx|clsact: who reaches whom by real traffic of every protocol and both
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
lab_daemon_start --attach "$attach"
lab_pods_add web api db intruder

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

lab_say "a Denylist cuts what runs, and its removal gives it back"
lab_stream tcp4 api db tcp 5432 4
lab_stream tcp6 api db tcp 5432 6
lab_stream other web api tcp 8080 4
lab_object cut <"$data/cut.yaml"
lab_publish
for stream in tcp4 tcp6; do
    eventually "$stream is cut" 2 grep -q '^cut' "$LAB/out/$stream"
done
lab_expect <"$data/cut.table"
lab_object_remove cut
lab_publish
for stream in tcp4 tcp6; do
    eventually "$stream goes on" 5 grep -q '^resumed' "$LAB/out/$stream"
    expect_equal "times that $stream was cut" "$(grep -c '^cut' "$LAB/out/$stream")" 1
done
expect_equal "the stream that no policy forbids" "$(grep -vc '^start' "$LAB/out/other" || true)" 0
lab_expect <"$data/shop.table"
for stream in tcp4 tcp6 other; do
    lab_stream_stop "$stream"
done

lab_end
