#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# full.sh: what does not fit or cannot be read never opens a pod: full maps close it and say what to
# do; the last good version of a broken file, of an invalid policy and of a lost folder stays.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/lab.sh"
lab_enter "$@"

data=$LAB_SOURCE/test/e2e/data

ready() {
    [ "$(lab_status .ready)" = "$1" ]
}

# reported PATTERN: the status shows it, in JSON and as text.
reported() {
    lab_has "$1" status -o json && lab_has "$1" status
}

# What a drain and a reboot leave of the data path: nothing.
drain_and_reboot() {
    local pod
    for pod in "${!LAB_POD_ID[@]}"; do
        lab_pod_del "$pod"
    done
    lab_daemon_stop
    umount -l "$LAB/bpf"
    mount -t bpf bpf "$LAB/bpf"
}

lab_say "policies do not fit: closed, not open"
lab_chain bridge '{"holdTimeoutMs": 300}'
lab_object policies <"$data/shop.yaml"
lab_swap
lab_daemon_start --map-size policies=4
lab_pods_add web api db intruder
remedy='podfenced with --map-size policies=([0-9]+) and reboot the node'
eventually "the status names map, need and remedy" 5 reported "policies.*4 entries.* need .*$remedy"
closed=$(lab_ctl endpoints -o json | jq -r '.endpoints[] | select(.state == "closed") | .pod')
[ -n "$closed" ] || lab_fail "no pod is closed: $(lab_ctl endpoints)"
for pod in $closed; do
    lab_expect <<TABLE
outside > $pod tcp 8080 deny
outside > $pod tcp 80 deny
node > $pod tcp 80 ok
$pod > outside icmp 0 deny
TABLE
done
# a cut says that it is not in force there, and stays
status=0
said=$(lab_ctl cut "app=${closed%%$'\n'*}" --for 10m 2>&1) || status=$?
expect_equal "exit status of a cut that does not fit" "$status" 1
expect_match "what it says" "$said" "not in force yet.* endpoint shop/${closed%%$'\n'*}: .*$remedy"
lab_ctl cut undo --all >/dev/null
# what is open anyway stays judged by its policy
sed -n '/ deny$/p' "$data/shop.table" | lab_expect
[[ $(lab_status .) =~ policies\ map.*$remedy ]]
larger=${BASH_REMATCH[1]}

lab_say "a larger map without a reboot: the daemon says that it is not in force, the pods stay closed"
lab_daemon_stop
lab_daemon_start --map-size "policies=$larger"
grep -q "policies map is pinned with 4 entries; --map-size policies=$larger takes effect .* reboot" \
    "$LAB/daemon.log" || lab_fail "no warning in the log"
eventually "the same text again" 5 reported "policies.*$remedy"
lab_expect <<<"outside > ${closed%%$'\n'*} tcp 8080 deny"

lab_say "the remedy: drained, a new BPF file system, the size that the text named"
drain_and_reboot
lab_daemon_start --map-size "policies=$larger"
lab_pods_add web api db intruder
eventually "ready" 5 ready true
lab_expect <"$data/shop.table"
drain_and_reboot

lab_say "endpoints do not fit: ADD answers 11 with map and remedy"
lab_daemon_start --map-size endpoints=2
lab_pods_add web api
lab_pod_new third
if lab_pod_attach third; then
    lab_fail "a third endpoint fits into a map of two"
fi
expect_equal "code" "$(jq -r .error.code "$LAB/out/third")" 11
expect_match "text" "$(jq -r '.error.msg + .error.details' "$LAB/out/third")" \
    'endpoints.*podfenced with --map-size endpoints=4 and reboot the node'
lab_pod_forget third
drain_and_reboot

lab_say "a broken file keeps the last good version of what it held"
lab_daemon_start
lab_pods_add web api db intruder
lab_expect <"$data/shop.table"
sed 's/^spec:/spec: [/' "$data/shop.yaml" | lab_object policies
lab_publish
eventually "the status names file and line" 5 reported 'policies.yaml'
expect_equal "problems that keep a last good version" "$(lab_status '[.problems[] | select(.kept)] | length > 0')" true
lab_expect <"$data/shop.table"

lab_say "an invalid policy: the same, and the others apply"
sed 's/port: 5432/port: 54321234/' "$data/shop.yaml" | lab_object policies
lab_publish
eventually "the status names the field" 5 reported 'port.*54321234'
lab_expect <"$data/shop.table"

lab_say "still after a restart: the last good version outlives the daemon"
lab_daemon_kill
lab_daemon_start
lab_publish
lab_expect <"$data/shop.table"
lab_object policies <"$data/shop.yaml"
lab_publish
eventually "ready again" 5 ready true

lab_say "a folder that has gone: the pinned state stays, not ready"
mv "$LAB/objects" "$LAB/lost"
eventually "not ready" 5 ready false
expect_match "what is missing" "$(lab_status .notReady)" "$LAB/objects"
lab_expect <"$data/shop.table"
lab_daemon_kill
lab_daemon_start
ready false || lab_fail "ready without its folder"
lab_expect <"$data/shop.table"
mv "$LAB/lost" "$LAB/objects"
eventually "ready again" 10 ready true
lab_expect <"$data/shop.table"

lab_say "a present, empty folder means no objects"
lab_object_remove policies
lab_publish
sed -n 's/ deny$/ ok/p' "$data/shop.table" | lab_expect
lab_end
