#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# filters.sh tcx|clsact: filters that somebody else removed are noticed, counted and put back, also
# those that went while the daemon was down; other people's filters stay.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/lab.sh"
lab_enter "$@"

attach=$1

strip() {
    local pod
    for pod in "$@"; do
        if [ "$attach" = tcx ]; then
            rm "$LAB_BPFFS/$LAB_LAYOUT/links/$(lab_ifindex "$(lab_host_veth "$pod")")"-*
        else
            tc qdisc del dev "$(lab_host_veth "$pod")" clsact
        fi
        # the kernel ends a link some time after its last pin has gone
        eventually "the filters of $pod have gone" 5 stripped "$pod"
    done
}

stripped() {
    [ "$(lab_filters "$(lab_host_veth "$1")")" = "0 0 0 0" ]
}

restored() {
    [ "$(lab_status .filtersRestored)" -ge "$1" ]
}

closed() {
    lab_expect <<'TABLE'
web > db tcp 5432 deny
node > db tcp 5432 ok
TABLE
}

lab_chain bridge
lab_object policies <<'YAML'
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: closed, namespace: shop }
spec: { podSelector: { matchLabels: { app: db } } }
YAML
lab_swap
lab_daemon_start --attach "$attach"
lab_pods_add web db
closed

lab_say "removed while the daemon runs"
kill -STOP "$LAB_DAEMON_PID" # so that the hole can be seen first
strip web db
lab_expect <<'TABLE'
web > db tcp 5432 ok
TABLE
kill -CONT "$LAB_DAEMON_PID"
eventually "the filters are put back" 8 restored 2
closed
expect_equal "ready" "$(lab_status .ready)" true
expect_match "log" "$(cat "$LAB/daemon.log")" 'put the filters of shop/db back'

lab_say "removed while it is down"
lab_daemon_kill
strip db
lab_daemon_start --attach "$attach"
eventually "the filters are put back" 8 restored 1
closed

lab_say "nothing to put back"
before=$(lab_status .filtersRestored)
sleep 3
expect_equal "filters put back" "$(lab_status .filtersRestored)" "$before"
lab_end
