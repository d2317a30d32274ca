#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# moved.sh tcx|clsact: podfenced takes over from a layout whose connections lie in other places of the table, so
# that they are copied. No lawful packet is dropped and no unlawful one answered; who says nothing meanwhile is
# known afterwards too.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/lab.sh"
# shellcheck source=test/e2e/lab-watch.sh
source "$LAB_SOURCE/test/e2e/lab-watch.sh"
lab_enter "$@"

older=5 # the last one of that kind; what differs is what takes over from it

drops() {
    lab_ctl status -o json | jq '[.pins.counters[] | select(.drop) | .packets] | add // 0'
}

# Established TCP connections, as each end knows them.
established() {
    lab_ctl connections -o json | jq -r '.connections[] | select(.protocol == "TCP" and .state == "established") |
        "\(.endpoint) \(.local) \(.localPort) \(.remote) \(.remotePort) \(.openedBy) \(.verdict)"' | sort
}

lab_chain bridge
lab_object policies <"$LAB_SOURCE/test/e2e/data/shop.yaml"
lab_swap
lab_daemon_start --attach "$1"
lab_pods_add web api db intruder
lab_expect <"$LAB_SOURCE/test/e2e/data/shop.table"
idle_pids=()
for family in 4 6; do
    # shellcheck disable=SC2016 # for the inner shell
    lab_background api "idle$family" "$BASH" -c 'exec 3<>"/dev/tcp/$1/5432" && echo open && exec sleep 600' \
        idle "$(lab_address db $family)"
    idle_pids+=("$LAB_PID")
    eventually "api has opened a connection to db over IPv$family" 5 grep -q open "$LAB/out/idle$family"
done
eventually "both ends know both" 5 eval '[ "$(established | grep -c 5432)" -ge 4 ]'
lab_watch_begin
sleep 1

lab_say "as the older version has left it, and nobody is there"
lab_prober_stop hostile
established >"$LAB/out/earlier"
sleep 0.5
# not those that probes open and close all the time
established | comm -12 "$LAB/out/earlier" - >"$LAB/out/before"
before=$(drops)
lab_daemon_kill
mv "$LAB_BPFFS/$LAB_LAYOUT" "$LAB_BPFFS/v$older"
mapfile -t bytes < <(printf '%-56s' 0.0.9 | tr ' ' '\0' | od -An -v -tx1 -w1 | tr -d ' ')
bpftool map update pinned "$LAB_BPFFS/v$older/maps/about" key 0 0 0 0 value hex "${bytes[@]}" \
    "$(printf %02x $older)" 00 00 00 01 00 00 00
table=$(bpftool map show pinned "$LAB_BPFFS/v$older/maps/connections" -j | jq .id)
lab_watch_check "under the older layout"

lab_say "taken over"
lab_daemon_start --attach "$1"
expect_match "what the daemon says" "$(cat "$LAB/daemon.log")" "took over from podfence 0.0.9"
# shellcheck disable=SC2012 # names of ours
expect_equal "layouts" "$(ls "$LAB_BPFFS" | paste -sd' ')" "$LAB_LAYOUT"
[ "$(bpftool map show pinned "$LAB_BPFFS/$LAB_LAYOUT/maps/connections" -j | jq .id)" != "$table" ] ||
    lab_fail "the older layout's table is still in use"
lab_watch_check "taken over"
expect_equal "packets dropped meanwhile" "$(drops)" "$before"
expect_equal "connections that nobody knows any more" "$(established | comm -23 "$LAB/out/before" -)" ""
[ "$(wc -l <"$LAB/out/before")" -ge 8 ] || lab_fail "too few were there: $(cat "$LAB/out/before")"
lab_hostile_begin
lab_expect <"$LAB_SOURCE/test/e2e/data/shop.table"
lab_watch_end
kill "${idle_pids[@]}"
lab_end
