#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# reconcile.sh: what happens to pods and pins behind the runtime's back is found by events, put right,
# counted, and logged once.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/lab.sh"
lab_enter "$@"

pods_are() {
    [ "$(lab_ctl endpoints -o json | jq -r '[.endpoints[].pod] | sort | join(" ")')" = "$1" ]
}

# counted NAME: of what was put right
counted() {
    lab_status ".reconciled.$1"
}

counts_are() {
    [ "$(lab_status '.reconciled | [.adopted, .vanished, .renamed, .filters, .pins] | join(" ")')" = "\"$1\"" ]
}

logged() {
    grep -cE "$1" "$LAB/daemon.log" || true
}

field() {
    lab_ctl endpoints -o json | jq -r ".endpoints[] | select(.pod == \"$1\") | .$2"
}

is_resolved() {
    [ "$(field "$1" state)" = enforced ]
}

closed() {
    lab_expect <<TABLE
$1 > db tcp 5432 deny
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
lab_daemon_start --attach tcx --cni-cache "$LAB/cache"
lab_pods_add web db old
closed web

lab_say "an interface that is deleted without DEL"
ip link del "$(lab_host_veth old)"
eventually "its endpoint goes at once" 3 pods_are "db web"
counts_are "0 1 0 0 0" || lab_fail "counts: $(lab_status .reconciled)"

lab_say "and is there again under the same name, for the same pod"
veth=$(lab_host_veth db)
index=$(lab_ifindex "$veth")
mac=$(ip -n db -j link show dev eth0 | jq -r '.[0].address')
ip link del "$veth"
eventually "its endpoint goes at once" 3 pods_are web
ip link add "$veth" type veth peer name eth0 netns db
ip link set "$veth" master cni0 up
ip -n db link set eth0 address "$mac" up
ip -n db addr add "${LAB_POD_IP4[db]}/24" dev eth0
ip -n db addr add "${LAB_POD_IP6[db]}/64" dev eth0
ip -n db route add default via 10.88.0.1
ip -n db route add default via fd00:88::1
lab_impatient_link db eth0
eventually "it is an endpoint again" 8 is_resolved db
[ "$(field db ifindex)" != "$index" ] || lab_fail "the index of db is the old one, $index"
expect_equal "its container" "$(field db containerId)" "${LAB_POD_ID[db]}"
eventually "db answers the node" 5 lab_answers node "tcp,${LAB_POD_IP4[db]},5432"
closed web
counts_are "1 2 0 0 0" || lab_fail "counts: $(lab_status .reconciled)"

lab_say "an interface that is renamed"
ip link set "$veth" down
ip link set "$veth" name renamed0
ip link set renamed0 up
eventually "it is noticed" 3 counts_are "1 2 1 0 0"
expect_equal "endpoints" "$(lab_map_count endpoints)" 2
expect_equal "its interface" "$(field db hostInterface) $(field db attached)" "renamed0 ok"
eventually "db answers the node" 5 lab_answers node "tcp,${LAB_POD_IP4[db]},5432"
closed web

lab_say "its filters are put back all the same"
rm "$LAB_BPFFS/$LAB_LAYOUT/links/$(lab_ifindex renamed0)"-*
eventually "they are put back" 6 counts_are "1 2 1 1 0"
closed web

lab_say "and renamed again while the daemon is down, with another that goes"
lab_daemon_kill
ip link set renamed0 down
ip link set renamed0 name renamed1
ip link set renamed1 up
lab_pod_new brief
lab_pod_object brief app=db
lab_swap
lab_pod_attach brief || lab_fail "ADD of brief: $(cat "$LAB/out/brief")"
ip link del "$(lab_host_veth brief)"
lab_daemon_start --cni-cache "$LAB/cache"
counts_are "0 1 1 0 0" || lab_fail "counts: $(lab_status .reconciled)"
pods_are "db web" || lab_fail "pods: $(lab_ctl endpoints)"
eventually "db answers the node" 5 lab_answers node "tcp,${LAB_POD_IP4[db]},5432"
closed web

lab_say "the same pod in a new sandbox, and then the DEL of the old one"
first=${LAB_POD_ID[web]}
kill "${LAB_POD_SERVER[web]}"
ip netns del web
lab_pod_new web
lab_pod_object web app=web
lab_publish
lab_pod_attach web || lab_fail "ADD of web: $(cat "$LAB/out/web")"
lab_pod_serve web
lab_cni del web --id "$first" --netns '' >"$LAB/out/late" || lab_fail "late DEL: $(cat "$LAB/out/late")"
lab_cni del web --id "$first" --netns '' >"$LAB/out/late" || lab_fail "late DEL: $(cat "$LAB/out/late")"
eventually "the old one has gone" 3 counts_are "0 2 1 0 0"
expect_equal "the pod's container" "$(field web containerId) $(field web attached)" "${LAB_POD_ID[web]} ok"
closed web

lab_say "pins that are removed"
pins=$(($(ls "$LAB_BPFFS/$LAB_LAYOUT/progs" | wc -l) + 1))
kill -STOP "$LAB_DAEMON_PID" # so that they all go at once
rm -r "$LAB_BPFFS/$LAB_LAYOUT/maps/policies" "$LAB_BPFFS/$LAB_LAYOUT/progs"
kill -CONT "$LAB_DAEMON_PID"
eventually "they are put back" 6 counts_are "0 2 1 0 $pins"
lab_pods_add fresh
closed fresh

lab_say "an endpoint that is taken out of the map"
index=$(lab_ifindex renamed1)
bpftool map delete pinned "$LAB_BPFFS/$LAB_LAYOUT/maps/endpoints" key "$((index & 255))" "$((index >> 8 & 255))" 0 0
ip link set renamed1 txqueuelen 999 # or with the next sweep
eventually "it is there again" 14 is_resolved db
counts_are "1 2 1 0 $pins" || lab_fail "counts: $(lab_status .reconciled)"
closed web

lab_say "each was logged once, and all is well"
expect_equal "removed" "$(logged 'removed the endpoint of shop/(old|db|web|brief)')" 4
expect_equal "adopted" "$(logged 'adopted shop/db')" 2
expect_equal "renamed" "$(logged 'interface of shop/db was renamed from')" 2
expect_equal "filters" "$(logged 'put the filters of shop/db back')" 1
expect_equal "pins" "$(logged "put $pins pins back")" 1
expect_equal "ready" "$(lab_status .ready)" true
expect_match "text of status" "$(lab_ctl status)" "put right: +1 adopted, 2 vanished, 1 renamed, 0 filters, $pins pins"
lab_end
