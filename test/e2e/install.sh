#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The installer against main CNIs that write their configuration whenever they like: Flannel's way (a
# rename) and Calico's (truncate and write). Runtimes reload by the events that containerd and CRI-O
# act on (reload.py), and pods are started with what containerd has loaded.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/lab.sh"
lab_enter "$@"

NETD=$LAB/net.d
BIN=$LAB/cni-bin
PRIMARY=$NETD/10-flannel.conflist
OWNED=$NETD/00-podfence.conflist
CHAIN=$LAB/chain.conflist
declare -A RUNTIME=()

# ---- the main CNI --------------------------------------------------------------------------------

# primary MTU: what the main CNI writes, with a number that no double holds.
primary() {
    sed -e "s/\"mtu\": [0-9]*/\"mtu\": $1/" -e 's/^{/{\n  "x-number": 12345678901234567890,/' "$LAB/primary"
}

flannel_writes() {
    primary "$1" >"$NETD/.10-flannel.new"
    mv "$NETD/.10-flannel.new" "$PRIMARY"
}

calico_begins() {
    primary "$1" | head -c 200 >"$PRIMARY" # truncated in place
}

calico_ends() {
    primary "$1" >"$PRIMARY"
}

# ---- runtimes ------------------------------------------------------------------------------------

runtimes_start() {
    local runtime out=$CHAIN
    for runtime in containerd crio; do
        "$LAB_SOURCE/test/e2e/reload.py" "$runtime" --conf-dir "$NETD" --bin-dir "$BIN" --out "$out" \
            --log "$LAB/out/$runtime" &
        RUNTIME[$runtime]=$!
        eventually "$runtime has loaded" 5 grep -q loaded "$LAB/out/$runtime"
        out=$LAB/crio.conflist
    done
}

runtimes_stop() {
    kill "${RUNTIME[@]}"
    wait "${RUNTIME[@]}" 2>/dev/null || true
}

# The types of the plugins and the mtu that a pod gets; null: none.
loaded() {
    jq -c 'if . then [.name, .plugins[0].mtu, (.plugins | map(.type) | join(" "))] else . end' "$1"
}

both_loaded() {
    [ "$(loaded "$CHAIN")" = "$1" ] && [ "$(loaded "$LAB/crio.conflist")" = "$1" ]
}

containerd_has_nothing() {
    [ "$(loaded "$CHAIN")" = null ]
}

# runtimes_have MTU: containerd and CRI-O have podfence as the last of the chain.
runtimes_have() {
    eventually "both runtimes have podfence and mtu $1 ($(loaded "$CHAIN"), $(loaded "$LAB/crio.conflist"))" 5 \
        both_loaded "[\"cbr0\",$1,\"bridge portmap podfence\"]"
}

# ---- asking --------------------------------------------------------------------------------------

# Without any capability: whoever owns the folders needs none.
install() {
    setpriv --bounding-set=-all -- "$LAB_BIN/podfencectl" --bpffs "$LAB_BPFFS" --socket "$LAB_SOCKET" install-cni \
        --cni-conf-dir "$NETD" --cni-bin-dir "$BIN" "$@"
}

guard() {
    lab_daemon_start --install-cni "$1" --cni-conf-dir "$NETD" --cni-bin-dir "$BIN" "${@:2}"
}

# status_is JQ VALUE
status_is() {
    [ "$(lab_status "$1")" = "$2" ]
}

# refused WHAT PATTERN COMMAND...: exits with 1 and says so.
refused() {
    local what=$1 pattern=$2 status=0
    shift 2
    "$@" >"$LAB/out/refused" 2>&1 || status=$?
    expect_equal "exit status: $what" "$status" 1
    expect_match "text: $what" "$(cat "$LAB/out/refused")" "$pattern"
}

no_temporaries() {
    expect_equal "temporary files left" "$(find "$NETD" "$BIN" -name '*.tmp.*')" ""
}

inode() {
    stat -c %i "$1"
}

pod_is_enforced() {
    lab_pod_add "$1" "app=$1"
    expect_equal "state of $1" "$(lab_ctl endpoints -o json | jq -r ".endpoints[] | select(.pod == \"$1\") | .state")" enforced
}

# ---- the tests -----------------------------------------------------------------------------------

before_the_main_cni() {
    lab_say "no main CNI yet: refused with a remedy, the daemon waits and is not ready"
    refused "no primary" 'no network configuration of a main CNI.*install Flannel' install
    refused "no folder" "no folder $LAB/nowhere.*--cni-conf-dir" \
        lab_ctl install-cni --cni-conf-dir "$LAB/nowhere" --cni-bin-dir "$BIN"
    cp "$NETD/../primary" "$NETD/87-podman-bridge.conflist"
    refused "podman's alone" 'no network configuration of a main CNI' install
    rm "$NETD/87-podman-bridge.conflist"
    printf '#!/bin/sh\nexit 3\n' >"$LAB/out/bad" && chmod +x "$LAB/out/bad"
    rm "$BIN/podfence"
    refused "a plugin that does not run" 'asked for its versions it ended with 3' install --plugin "$LAB/out/bad"
    [ ! -e "$BIN/podfence" ] || lab_fail "a plugin that does not run was copied"
    lab_say "--wait: as soon as it is there"
    install --wait 20 >"$LAB/out/waited" &
    local waiting=$!
    sleep 0.3
    flannel_writes 1450
    wait "$waiting" || lab_fail "install-cni --wait: $(cat "$LAB/out/waited")"
    rm "$OWNED" "$PRIMARY"
    guard owned
    expect_equal "ready" "$(lab_status .ready)" false
    expect_match "reason" "$(lab_status .notReady)" 'no network configuration of a main CNI'
    expect_match "text of status" "$(lab_ctl status)" 'NOT IN THE CHAIN'
    cmp "$BIN/podfence" "$LAB_BIN/podfence"
}

# The runtimes would start no pod at all with an entry that cannot be run.
without_the_plugin() {
    lab_say "owned: where the plugin cannot be put, the chain is left alone; then both are written"
    lab_daemon_stop
    rm "$BIN/podfence"
    mount --bind "$BIN" "$BIN" && mount -o remount,bind,ro "$BIN"
    flannel_writes 1460
    guard owned --cni-check 1
    expect_equal "ready" "$(lab_status .ready)" false
    expect_match "reason" "$(lab_status .notReady)" 'cni-bin.*Read-only file system'
    sleep 1.5
    [ ! -e "$OWNED" ] || lab_fail "podfence is in the chain, and cannot be run"
    both_loaded '["cbr0",1460,"bridge portmap"]' || lab_fail "the main CNI's chain is not in force"
    umount "$BIN"
    runtimes_have 1460
    cmp "$BIN/podfence" "$LAB_BIN/podfence"
    eventually "ready" 5 status_is .ready true
    lab_daemon_stop
    rm "$OWNED" "$PRIMARY"
    guard owned
}

flannel_way() {
    lab_say "owned: the main CNI comes, and writes again by rename"
    flannel_writes 1450
    runtimes_have 1450
    eventually "ready" 5 status_is .ready true
    expect_equal "effective" "$(lab_status '.cni.effective | [.file, .network, .position]')" \
        '["00-podfence.conflist","cbr0",2]'
    expect_match "digits" "$(cat "$OWNED")" '"x-number": 12345678901234567890,'
    cmp "$PRIMARY" <(primary 1450)
    pod_is_enforced first
    flannel_writes 1400
    runtimes_have 1400
    expect_equal "ready" "$(lab_status .ready)" true
    expect_equal "undone" "$(lab_status .cni.undone)" 0
    expect_match "what containerd acts on" "$(cat "$LAB/out/containerd")" $'Rename \.00-podfence.conflist.podfence.tmp.[0-9]+\nloaded 00-podfence.conflist'
}

calico_way_owned() {
    lab_say "owned: half a file of the main CNI changes nothing"
    local before
    before=$(inode "$OWNED")
    calico_begins 1300
    eventually "the daemon waits" 5 status_is '.cni.waitingFor | test("not be complete")' true
    expect_equal "our list" "$(inode "$OWNED")" "$before"
    both_loaded '["cbr0",1400,"bridge portmap podfence"]'
    expect_equal "ready" "$(lab_status .ready)" true
    calico_ends 1300
    runtimes_have 1300
    rm "$OWNED"
    runtimes_have 1300
    expect_equal "undone" "$(lab_status .cni.undone)" 1
    rm "$BIN/podfence"
    eventually "the binary is back" 5 cmp "$BIN/podfence" "$LAB_BIN/podfence"
    runtimes_have 1300
}

reboot() {
    lab_say "reboot: SIGTERM removes nothing; our list is there before daemon and main CNI, pods wait"
    lab_pod_del first
    lab_daemon_stop
    [ -e "$OWNED" ] && [ -e "$BIN/podfence" ] || lab_fail "SIGTERM removed something"
    runtimes_stop
    rm -r "${LAB_BPFFS:?}"/v* && rm "$PRIMARY"
    runtimes_start
    runtimes_have 1300
    lab_pod_new early
    if lab_pod_attach early; then
        lab_fail "ADD without a data path succeeds"
    fi
    expect_equal "who refuses, and how" "$(jq -c '[.plugin, .error.code]' "$LAB/out/early")" '["podfence",11]'
    lab_cni del early >"$LAB/out/del" || lab_fail "DEL without a data path: $(cat "$LAB/out/del")"
    lab_pod_forget early
    guard owned
    eventually "ready without the main CNI's file" 5 status_is .ready true
    expect_equal "primary" "$(lab_status .cni.primary)" '""'
    pod_is_enforced second
    flannel_writes 1250
    runtimes_have 1250
    lab_daemon_stop
}

# Nobody may write into it in place.
busy() {
    ! (: >>"$BIN/podfence") 2>/dev/null
}

killed_between() {
    lab_say "killed between writing and renaming: no half file, and the next one cleans up"
    local name before status
    install >/dev/null
    cp "$LAB_BIN/podfence" "$LAB/out/newer" && printf x >>"$LAB/out/newer"
    flannel_writes 1200
    for name in 00-podfence.conflist podfence; do
        before=$(inode "$OWNED"):$(inode "$BIN/podfence")
        status=0
        LD_PRELOAD=$LAB_TOOLS/diesatrename.so DIES_AT_RENAME=$name install --plugin "$LAB/out/newer" \
            >"$LAB/out/killed" 2>&1 || status=$?
        expect_equal "exit status" "$status" 137
        if [ "$name" = podfence ]; then
            expect_equal "what is in place" "$(inode "$OWNED"):$(inode "$BIN/podfence")" "$before"
        fi
        expect_equal "temporary files" "$(find "$NETD" "$BIN" -name ".$name.podfence.tmp.*" | wc -l)" 1
        expect_equal "valid files" "$(loaded "$OWNED")" '["cbr0",1250,"bridge portmap podfence"]'
        # so that the binary is to be written again
        cp "$LAB_BIN/podfence" "$BIN/.copy" && mv "$BIN/.copy" "$BIN/podfence"
    done
    lab_say "a binary that runs can be replaced"
    mkfifo "$LAB/out/fifo"
    CNI_COMMAND=GC CNI_PATH=$BIN "$BIN/podfence" <>"$LAB/out/fifo" >"$LAB/out/running" 2>&1 &
    local running=$!
    eventually "the binary runs" 2 busy
    install --plugin "$LAB/out/newer" >/dev/null
    cmp "$BIN/podfence" "$LAB/out/newer"
    kill -0 "$running" || lab_fail "the running binary has ended: $(cat "$LAB/out/running")"
    kill "$running" && wait "$running" 2>/dev/null || true
    no_temporaries
    runtimes_have 1200
    install >/dev/null
}

patch_mode() {
    lab_say "patch: the main CNI's file is edited, and keeps mode, owner and label"
    chmod 640 "$PRIMARY" && chown 7:9 "$PRIMARY"
    python3 -c 'import os, sys; os.setxattr(sys.argv[1], "security.selinux", b"system_u:object_r:net_conf_t:s0\0")' "$PRIMARY"
    guard patch
    runtimes_have 1200
    [ ! -e "$OWNED" ] || lab_fail "the list of the mode owned is still there"
    expect_equal "mode and owner" "$(stat -c '%a %u:%g' "$PRIMARY")" '640 7:9'
    expect_match "label" "$(python3 -c 'import os, sys; print(os.getxattr(sys.argv[1], "security.selinux"))' "$PRIMARY")" net_conf_t
    flannel_writes 1500
    runtimes_have 1500
    eventually "counted" 2 status_is .cni.undone 1
    pod_is_enforced third
    calico_begins 1490
    eventually "containerd has nothing, as with Calico alone" 5 containerd_has_nothing
    sleep 0.3
    expect_equal "half a file" "$(stat -c %s "$PRIMARY")" 200
    calico_ends 1490
    runtimes_have 1490
    eventually "ready" 5 status_is .ready true
}

# Puts its own back at once, whatever we write; until there is peace, so that no file is left half done.
fight_on() {
    while [ ! -e "$LAB/out/peace" ]; do
        if grep -q podfence "$PRIMARY"; then
            primary 1480 >"$NETD/.other" && mv "$NETD/.other" "$PRIMARY"
        fi
        sleep 0.02
    done
}

fight() {
    lab_say "two owners: after ten writes the other one wins, said once; later it is tried again"
    local written
    lab_daemon_stop
    guard patch --cni-check 1
    written=$(lab_status .cni.written)
    fight_on &
    local other=$!
    eventually "the daemon gives up" 8 status_is .cni.gaveUp true
    eventually "not ready" 3 status_is .ready false
    sleep 0.3
    expect_equal "writes" "$(($(lab_status .cni.written) <= written + 10))" 1
    expect_match "reasons" "$(lab_status .notReady)" 'pods start without it.*keeps changing.*left alone for 5 s'
    expect_equal "lines in the log" "$(grep -c 'keeps changing' "$LAB/daemon.log")" 1
    touch "$LAB/out/peace"
    wait "$other"
    runtimes_have_later
    eventually "ready" 5 status_is .ready true
    expect_equal "gave up" "$(lab_status .cni.gaveUp)" false
    lab_say "a folder that is mounted over the one of the plugins: no event tells of it"
    mkdir "$LAB/over"
    mount --bind "$LAB/over" "$BIN"
    eventually "the plugin is in it" 5 cmp "$BIN/podfence" "$LAB_BIN/podfence"
    umount -l "$BIN"
    lab_daemon_stop
}

runtimes_have_later() {
    eventually "it is tried again" 10 both_loaded '["cbr0",1480,"bridge portmap podfence"]'
}

is_new() {
    [ "$(inode "$PRIMARY")" != "$1" ]
}

dropin_mode() {
    lab_say "dropin: our file beside, and the list under a new inode, since nobody watches below"
    local before
    guard dropin
    runtimes_have 1480
    expect_equal "our file" "$(find "$NETD" -name '*podfence*' -printf '%P\n')" cbr0/podfence.conf
    cmp "$PRIMARY" <(primary 1480)
    before=$(inode "$PRIMARY")
    rm "$NETD/cbr0/podfence.conf"
    eventually "it is back" 5 test -e "$NETD/cbr0/podfence.conf"
    eventually "the list is new" 5 is_new "$before"
    runtimes_have 1480
    lab_daemon_stop
    sed -i 's/^{/{ "loadOnlyInlinedPlugins": true,/' "$PRIMARY"
    refused "no drop-ins read" 'loadOnlyInlinedPlugins, so no drop-in is read' install --mode dropin
    flannel_writes 1480
}

uninstall() {
    lab_ctl uninstall --cni-conf-dir "$NETD" --cni-bin-dir "$BIN" --state "$LAB/state" "$@"
}

# The chain first, while everything is still attached: that is what the pause is for.
removed_in_order() {
    local link
    link=$(lab_host_veth third)
    uninstall --reload-wait 4 >"$LAB/out/uninstall" &
    local pid=$!
    eventually "the runtimes have lost podfence" 5 both_loaded '["cbr0",1480,"bridge portmap"]'
    [ "$(lab_filters "$link")" != "0 0 0 0" ] || lab_fail "filters went before the runtime had reloaded"
    wait "$pid" || lab_fail "uninstall: $(cat "$LAB/out/uninstall")"
    lab_no_filters
}

nothing_left() {
    lab_say "uninstall: not under a daemon; then the chain, the filters, the pins, and at last the binary"
    guard owned
    runtimes_have 1480
    refused "a daemon runs" 'podfenced is running.*systemctl disable --now podfence\)' uninstall
    lab_daemon_stop
    mv "$PRIMARY" "$LAB/out/primary"
    refused "no other configuration" 'only network configuration of this node' uninstall
    mv "$LAB/out/primary" "$PRIMARY"
    cp "$CHAIN" "$LAB/out/cached"
    eventually "both runtimes have podfence again" 5 both_loaded '["cbr0",1480,"bridge portmap podfence"]'
    removed_in_order
    expect_equal "configurations" "$(ls -A "$NETD")" 10-flannel.conflist
    cmp "$PRIMARY" <(primary 1480)
    expect_equal "plugin" "$(ls "$BIN/podfence")" "$BIN/podfence"
    [ ! -e "$LAB_BPFFS" ] || lab_fail "pins are left: $(find "$LAB_BPFFS")"
    expect_equal "state" "$(ls -A "$LAB/state" 2>/dev/null || true)" ""
    lab_say "a late DEL with what CRI-O has cached"
    lab_cni del second --conf "$LAB/out/cached" >"$LAB/out/del" || lab_fail "DEL: $(cat "$LAB/out/del")"
    lab_cni del third --conf "$LAB/out/cached" >"$LAB/out/del" || lab_fail "DEL: $(cat "$LAB/out/del")"
    lab_pod_forget second
    lab_pod_forget third
    uninstall --binary --reload-wait 0 >"$LAB/out/uninstall"
    [ ! -e "$BIN/podfence" ] || lab_fail "the binary is left"
    uninstall --binary --reload-wait 0 >"$LAB/out/uninstall" || lab_fail "uninstall twice: $(cat "$LAB/out/uninstall")"
    no_temporaries
}

mkdir -p "$NETD" "$BIN"
ln -s "$LAB_CNI_DIR"/* "$BIN"
LAB_CNI_DIR=$BIN
lab_chain bridge
jq '.plugins |= map(select(.type != "podfence"))' "$CHAIN" >"$LAB/primary"
lab_swap
runtimes_start
before_the_main_cni
without_the_plugin
flannel_way
calico_way_owned
reboot
killed_between
patch_mode
fight
dropin_mode
nothing_left
runtimes_stop
lab_end
