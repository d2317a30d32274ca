#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# upgrade.sh tcx|clsact: the next version, whose pinned layout is another one, takes over while pods talk. It is
# killed on its way at every step, taken back by the older version, begun again. No lawful packet is dropped and
# no unlawful one answered. Then what plugins and daemons of different versions say to each other.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/lab.sh"
# shellcheck source=test/e2e/lab-watch.sh
source "$LAB_SOURCE/test/e2e/lab-watch.sh"
lab_enter "$@"

data=$LAB_SOURCE/test/e2e/data
old_bin=$LAB_BIN old_layout=$LAB_LAYOUT
next_bin=$LAB_BUILD/test/next next_layout=v$((${LAB_LAYOUT#v} + 1))
[ -x "$next_bin/podfenced" ] || lab_fail "no $next_bin/podfenced: run scripts/build.sh"
old_version=$("$old_bin/podfenced" --version | sed 's/,.*//; s/.* //')
next_version=$("$next_bin/podfenced" --version | sed 's/,.*//; s/.* //')
export LAB_GAP=1000

old() {
    LAB_BIN=$old_bin LAB_LAYOUT=$old_layout
}

next() {
    LAB_BIN=$next_bin LAB_LAYOUT=$next_layout
}

layouts() {
    # shellcheck disable=SC2012 # names of ours
    ls "$LAB_BPFFS" | paste -sd' '
}

drops() {
    lab_ctl status -o json | jq '[.pins.counters[] | select(.drop) | .packets] | add // 0'
}

# The plugin looks whether every hook of its layout's endpoints has its program.
hooks_are() {
    local status=0
    lab_entry '{"cniVersion": "1.1.0", "name": "cbr0"}' |
        CNI_COMMAND=STATUS CNI_PATH=$LAB_BIN "$LAB_BIN/podfence" >"$LAB/out/status" 2>&1 || status=$?
    expect_equal "STATUS by $LAB_BIN/podfence: $(cat "$LAB/out/status")" "$status" "$1"
}

# As if that version had loaded what is pinned.
pin_version() {
    local -a bytes
    mapfile -t bytes < <(printf '%-56s' "$1" | tr ' ' '\0' | od -An -v -tx1 -w1 | tr -d ' ')
    bpftool map update pinned "$LAB_BPFFS/$LAB_LAYOUT/maps/about" key 0 0 0 0 value hex "${bytes[@]}" \
        "$(printf %02x "${LAB_LAYOUT#v}")" 00 00 00 01 00 00 00
}

quick() {
    LAB_TIMEOUT_MS=250 lab_expect <<'TABLE'
web > api tcp 8080 ok
web > db tcp 5432 deny
api > db tcp 5432 ok
api > db udp 53 deny
intruder > db tcp 5432 deny
intruder > web tcp 8080 ok
outside > db tcp 5432 deny
TABLE
}

# refused PATTERN: podfenced of $LAB_BIN does not start, and says why.
refused() {
    local status=0
    timeout 20 "$LAB_BIN/podfenced" --bpffs "$LAB_BPFFS" --socket "$LAB_SOCKET" --objects "$LAB/objects" \
        --state "$LAB/state" 2>"$LAB/out/refused" || status=$?
    expect_equal "exit status of $LAB_BIN/podfenced" "$status" 1
    expect_match "what it says" "$(cat "$LAB/out/refused")" "$1"
}

# add_refused POD PATTERN: ADD by the plugin of $LAB_BIN answers 11 and says why.
add_refused() {
    lab_pod_new "$1"
    if lab_pod_attach "$1"; then
        lab_fail "ADD of $1 by $LAB_BIN/podfence went through"
    fi
    expect_equal "code of the refused ADD" "$(jq .error.code "$LAB/out/$1")" 11
    expect_match "text of the refused ADD" "$(jq -r .error.msg "$LAB/out/$1")" "$2"
    lab_pod_forget "$1"
}

lab_chain bridge
lab_object policies <"$data/shop.yaml"
lab_swap
lab_daemon_start --attach "$1"
lab_pods_add web api db intruder
lab_expect <"$data/shop.table"

lab_say "the same layout, loaded by another version: it works, and everybody says so"
expect_equal "pinned version" "$(lab_status .pins.version)" "\"$old_version\""
expect_equal "warning" "$(lab_status .pins.versionWarning)" null
pin_version 0.0.9
expect_match "warning" "$(lab_status .pins.versionWarning)" "podfence $old_version, .* by podfenced 0.0.9"
expect_match "warning in the text" "$(lab_ctl status)" "WARNING: .* podfenced 0.0.9"
hooks_are 0
expect_match "the plugin's warning" "$(cat "$LAB/out/status")" "podfenced 0.0.9"
lab_daemon_stop
lab_daemon_start --attach "$1"
expect_match "what the daemon says" "$(cat "$LAB/daemon.log")" "took over from podfence 0.0.9"
expect_equal "pinned version" "$(lab_status .pins.version)" "\"$old_version\""

lab_say "the plugin of the next version with this one's daemon"
next
add_refused early "layout ${old_layout#v} of podfence $old_version is pinned here"
old

lab_say "from a layout that nobody can read, nobody takes over"
mkdir -p "$LAB_BPFFS/v1/maps"
bpftool map pin pinned "$LAB_BPFFS/$LAB_LAYOUT/maps/endpoints" "$LAB_BPFFS/v1/maps/endpoints"
lab_daemon_kill
refused "layout 1 in .* cannot take over: what is in force stays so"
rm "$LAB_BPFFS/v1/maps/endpoints"
lab_daemon_start --attach "$1"
expect_equal "layouts" "$(layouts)" "$old_layout"

lab_watch_begin
lab_say "the next version has no objects: it waits, and may go again"
next
if lab_ctl load 2>"$LAB/out/load"; then
    lab_fail "podfencectl load takes a node over without policy"
fi
expect_match "podfencectl load" "$(cat "$LAB/out/load")" "start podfenced $next_version, which takes over"
lab_daemon_kill
"$LAB_BIN/podfenced" --bpffs "$LAB_BPFFS" --socket "$LAB_SOCKET" --objects "$LAB/nowhere" \
    --state "$LAB/no-state" 2>"$LAB/out/waits" &
LAB_DAEMON_PID=$!
eventually "it says what it waits for" 5 grep -q "layout ${old_layout#v} of podfence $old_version stays in force" "$LAB/out/waits"
sleep 0.5
lab_daemon_stop
old
hooks_are 0
lab_watch_check "the next version waited"
lab_daemon_start --attach "$1"
expect_equal "layouts" "$(layouts)" "$old_layout"

lab_say "killed on its way, and taken back"
for point in load.pinned:3 load.pinned-aside:30 load.settings-written takeover.endpoint-copied:2 apply.sets-done \
    apply.endpoint-flipped:2 takeover.link-pinned:3 refresh.tcx-link:3 refresh.clsact-filter:3 \
    takeover.filters-switched; do
    case $1/$point in
        tcx/refresh.clsact* | clsact/*link*) continue ;;
    esac
    [ -z "$LAB_DAEMON_PID" ] || lab_daemon_kill
    next
    lab_daemon_dies "$point"
    expect_equal "layouts after $point" "$(layouts)" "$old_layout $next_layout"
    lab_watch_check "killed at $point"
    old
    if [[ $point = refresh.* ]]; then
        hooks_are 1 # some of them are the next version's
        quick
    fi
    lab_daemon_start --attach "$1"
    expect_equal "layouts after the older version has taken back from $point" "$(layouts)" "$old_layout"
    hooks_are 0
    lab_watch_check "taken back from $point"
done
quick

lab_say "killed half way; the plugin of this version adds and removes pods meanwhile"
lab_daemon_kill
next
lab_daemon_dies takeover.filters-switched
old
if lab_ctl load 2>"$LAB/out/load"; then
    lab_fail "podfencectl load takes a node back without the daemon's lock"
fi
expect_match "podfencectl load" "$(cat "$LAB/out/load")" "start podfenced $old_version, which takes over"
lab_pod_new late
lab_pod_object late app=api
lab_swap
lab_pod_attach late || lab_fail "ADD half way: $(cat "$LAB/out/late")"
lab_pod_serve late
lab_pod_new passing
lab_pod_attach passing || lab_fail "ADD half way: $(cat "$LAB/out/passing")"
lab_cni del passing >/dev/null
lab_pod_forget passing

lab_say "the next version takes over: not one lawful packet is dropped"
next
lab_daemon_dies apply.sets-done # it has seen the new pod
old
lab_prober_stop hostile
before=$(drops)
next
if [ "$1" = tcx ]; then
    lab_daemon_dies takeover.old-hidden
    lab_watch_check "killed when the older layout was hidden"
    lab_daemon_dies layout.pin-removed:3
else
    lab_daemon_dies takeover.whole
fi
lab_watch_check "killed at the last moment"
lab_daemon_start --attach "$1"
expect_equal "layouts" "$(layouts)" "$next_layout"
expect_equal "packets dropped meanwhile" "$(drops)" "$before"
lab_watch_check "taken over"
hooks_are 0
lab_hostile_begin
lab_publish
lab_expect <"$data/shop.table"
lab_expect <<'TABLE'
late > db tcp 5432 ok
late > db tcp 80 deny
TABLE
lab_watch_check "under the next version"
expect_equal "pinned version" "$(lab_status .pins.version)" "\"$next_version\""

lab_say "this version's programs with the next one's layout"
old
add_refused late-too "layout ${next_layout#v} of podfence $next_version is pinned here"
if lab_ctl status >/dev/null 2>"$LAB/out/status"; then
    lab_fail "podfencectl of this version shows a layout that it cannot read"
fi
expect_match "podfencectl's reason" "$(cat "$LAB/out/status")" "podfence $next_version"
next
lab_daemon_stop
old
refused "has taken the pods .* Start podfence $next_version again"
next
lab_daemon_start --attach "$1"
lab_watch_end
lab_end
