#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# adopt.sh bridge|ptp: pods that ran before podfence was on the node, found by libcni's cache or by
# their objects, are enforced without a restart. What they have open goes on where policy allows it.
# What cannot be taken in is listed with its reason, until the reason has gone.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/lab.sh"
lab_enter "$@"

data=$LAB_SOURCE/test/e2e/data
export LAB_GAP=1000 # a stall of a busy machine is no cut

# A pod whose runtime knows nothing of podfence. before POD [OPTION...]
before() {
    local pod=$1
    shift
    lab_pod_new "$pod"
    lab_pod_attach "$pod" "$@" || lab_fail "ADD of $pod: $(cat "$LAB/out/$pod")"
    lab_pod_serve "$pod"
}

cache_of() {
    echo "$LAB/cache/$network-${LAB_POD_ID[$1]}-eth0"
}

enforced() {
    lab_ctl endpoints -o json | jq -r '[.endpoints[] | select(.state == "enforced") | .pod] | sort | join(" ")'
}

enforced_are() {
    [ "$(enforced)" = "$1" ]
}

# "POD: REASON" of what is not taken in, as status and endpoints say it.
unadopted() {
    lab_ctl "$1" -o json | jq -r '[.unadopted[] | (.pod // "") + ": " + .reason] | sort | .[]'
}

unadopted_has() {
    grep -qE "$1" <<<"$(unadopted status)"
}

nobody_is_left_out() {
    [ "$(lab_status .unadopted)" = '[]' ]
}

# Something changes at a link: looked at before the next sweep.
nudge() {
    ip link set dev eth0 txqueuelen $((1000 + RANDOM % 1000))
}

uncut() {
    local stream
    for stream in tcp4 tcp6 udp4 udp6; do
        expect_equal "what happened to $stream" "$(grep -v '^start' "$LAB/out/$stream" || true)" ""
        kill -0 "${LAB_STREAM[$stream]}"
    done
}

lab_say "a node without podfence, with a network of pods and one of other containers"
lab_chain "$1"
network=$(jq -r .name "$LAB/chain.conflist")
cp "$LAB/chain.conflist" "$LAB/with.conflist"
jq 'del(.plugins[] | select(.type == "podfence"))' "$LAB/with.conflist" >"$LAB/without.conflist"
cp "$LAB/without.conflist" "$LAB/chain.conflist"
for pod in web api db intruder; do
    before "$pod"
    lab_pod_object "$pod" "app=$pod"
done
before blocked
lab_pod_new box
jq '.name = "podman" | .plugins[0] += {type: "ptp"} | .plugins[0].ipam.ranges = [[{subnet: "10.89.0.0/24"}]]' "$LAB/without.conflist" >"$LAB/box.conflist"
box() {
    "$LAB_SOURCE/test/e2e/runtime.py" "$1" --conf "$LAB/box.conflist" --cache "$LAB/cache" --cni-path "$LAB_CNI_DIR" \
        --id "${LAB_POD_ID[box]}" --netns /run/netns/box >"$LAB/out/box" || lab_fail "$1 of box: $(cat "$LAB/out/box")"
}
box add

lab_say "files that say nothing, or what is not so"
gone=$(printf 'e%.0s' {1..64})
jq --arg id "$gone" '.containerId = $id | .netns = "/run/netns/gone"' "$(cache_of web)" >"$LAB/cache/$network-$gone-eth0"
cp "$(cache_of web)" "$LAB/cache/$network-copy-eth0"
: >"$LAB/cache/cni-loopback-$gone-lo"
mkfifo "$LAB/cache/$network-fifo-eth0"
truncate -s 2M "$LAB/cache/$network-huge-eth0"
head -c 200 "$(cache_of blocked)" >"$LAB/half"
mv "$(cache_of blocked)" "$LAB/whole"
cp "$LAB/half" "$(cache_of blocked)"
jq -c .result "$(cache_of db)" >"$LAB/bare" # as the first libcni kept it
mv "$LAB/bare" "$(cache_of db)"
cp "$(cache_of api)" "$LAB/new"
jq --arg ip4 "${LAB_POD_IP4[api]}/24" --arg ip6 "${LAB_POD_IP6[api]}/64" \
    '.result = {cniVersion: "0.2.0", ip4: {ip: $ip4}, ip6: {ip: $ip6}, dns: {}}' "$(cache_of api)" >"$LAB/old"
mv "$LAB/old" "$(cache_of api)" # before its network's list got a version that podfence speaks
jq 'del(.result.ips)' "$(cache_of web)" >"$LAB/silent"
mv "$LAB/silent" "$(cache_of web)"
chmod 600 "$LAB"/cache/*-eth0

lab_object policies <"$data/shop.yaml"
lab_swap
lab_outside_ready
lab_stream tcp4 api db tcp 5432 4
lab_stream tcp6 api db tcp 5432 6
lab_stream udp4 web api udp 5353 4
lab_stream udp6 web api udp 5353 6
lab_stream unlawful intruder db tcp 5432 4
lab_stream unlawful-udp intruder db udp 5353 6
lab_expect <<'TABLE'
intruder > db tcp 5432 ok
TABLE

lab_say "a daemon that is to leave them alone"
lab_daemon_start --cni-cache "$LAB/cache" --adopt chained
expect_equal "endpoints" "$(lab_map_count endpoints)" 0
expect_equal "files of others' networks" "$(lab_status .adoption.passedOver)" 6
lab_daemon_stop
lab_daemon_start --cni-cache "$LAB/cache" --adopt off
expect_equal "endpoints" "$(lab_map_count endpoints)" 0
lab_daemon_stop

lab_say "and one that takes them in"
LAB_DAEMON_OPTIONS="--cni-cache $LAB/cache"
[ "$1" != bridge ] || LAB_DAEMON_OPTIONS+=' --attach clsact'
lab_daemon_start
eventually "all are enforced" 5 enforced_are "api db intruder web"
eventually "unlawful is cut" 8 grep -q '^cut' "$LAB/out/unlawful"
eventually "unlawful-udp is cut" 8 grep -q '^cut' "$LAB/out/unlawful-udp"
# for a minute, a datagram that could be an answer passes for one: api may send to intruder
lab_expect < <(grep -v '^intruder > api udp' "$data/shop.table")
uncut
expect_equal "adopted" "$(lab_status .reconciled.adopted)" 4
expect_equal "others' networks" "$(lab_status '[.adoption.mode, .adoption.passedOver, .adoption.gone]')" '["pods",1,1]'
expect_equal "ready" "$(lab_status .ready)" true
expect_equal "not taken in" "$(unadopted status)" ": it cannot be read: is larger than 1048576 bytes
: it is no JSON object
: it is not a regular file
: its content is for $network-${LAB_POD_ID[web]}-eth0"
expect_equal "not taken in, by endpoints" "$(unadopted endpoints)" "$(unadopted status)"
for verb in status endpoints; do
    expect_match "text of $verb" "$(lab_ctl "$verb")" "NOT ENFORCED.*cache/$network-fifo-eth0: it is not a regular file"
done
expect_equal "IDs of containers" "$(lab_ctl endpoints -o json | jq -r '.endpoints[] | select(.pod == "web") | .containerId')" "${LAB_POD_ID[web]}"
rm "$LAB"/cache/*-{copy,fifo,huge}-eth0

lab_say "the file of one is whole again: it is taken in"
lab_pod_object blocked app=db
lab_swap
nudge
eventually "its object leads to it, whatever its file says" 15 enforced_are "api blocked db intruder web"
cp "$LAB/whole" "$(cache_of blocked)"
nudge
eventually "all are taken in" 15 nobody_is_left_out

lab_say "one that starts without podfence in its chain, and one without a file"
before later
[ "$1" != bridge ] || tc qdisc add dev "$(lab_host_veth later)" ingress # as the bandwidth plugin does
lab_pod_object later app=db
before bare
rm "$(cache_of bare)"
lab_pod_object bare app=web
lab_swap
nudge
if [ "$1" = bridge ]; then
    eventually "the one that cannot be is listed" 15 unadopted_has '^shop/later: .*ingress'
    tc qdisc del dev "$(lab_host_veth later)" ingress
    nudge
fi
eventually "they are enforced" 15 enforced_are "api bare blocked db intruder later web"
lab_expect <<'TABLE'
api > later tcp 5432 ok
web > later tcp 5432 deny
intruder > bare tcp 8080 ok
intruder > bare tcp 80 deny
intruder > blocked tcp 5432 deny
TABLE

lab_say "one whose address another pod has taken"
before twin
rm "$(cache_of twin)"
for address in "${LAB_POD_IP4[twin]}/32" "${LAB_POD_IP6[twin]}/128"; do
    ip -n intruder addr add "$address" dev eth0
done
lab_pod_object twin app=db
lab_swap
nudge
if [ "$1" = bridge ]; then
    eventually "it is listed" 15 unadopted_has "^shop/twin: its address .* leads to interface veth.* as well as to veth"
    expect_equal "who it is taken for" "$(lab_ctl endpoints -o json | jq '[.endpoints[] | select(.pod == "twin")] | length')" 0
    for address in "${LAB_POD_IP4[twin]}/32" "${LAB_POD_IP6[twin]}/128"; do
        ip -n intruder addr del "$address" dev eth0
    done
    nudge
fi
eventually "it is taken in" 15 enforced_are "api bare blocked db intruder later twin web"
expect_equal "its interface" "$(lab_ctl endpoints -o json | jq -r '.endpoints[] | select(.pod == "twin") | .hostInterface')" "$(lab_host_veth twin)"

lab_say "the next daemon finds them all enforced, and takes in the other container too"
adopted=$(grep -c 'adopted shop/' "$LAB/daemon.log")
lab_daemon_kill
lab_daemon_start --adopt all --exempt-namespace default
expect_equal "adopted" "$(lab_status .reconciled.adopted)" 1
expect_equal "the container" "$(lab_ctl endpoints -o json | jq -r '.endpoints[] | select(.pod == "") | .containerId + " " + .namespace + " " + .state')" "${LAB_POD_ID[box]} default exempt"
expect_equal "lines of the log" "$(grep -c 'adopted shop/' "$LAB/daemon.log")" "$adopted"
expect_equal "not taken in" "$(lab_status .unadopted)" '[]'
uncut
for stream in "${!LAB_STREAM[@]}"; do
    lab_stream_stop "$stream"
done

lab_say "podfence is in the chain when they end"
cp "$LAB/with.conflist" "$LAB/chain.conflist"
cp "$LAB/new" "$(cache_of api)" # portmap would not take the old one
kill "${LAB_POD_SERVER[later]}"
lab_cni del later --only podfence >"$LAB/out/later" || lab_fail "DEL of later: $(cat "$LAB/out/later")"
expect_equal "endpoints of later" "$(lab_ctl endpoints -o json | jq '[.endpoints[] | select(.pod == "later")] | length')" 0
box del
lab_pod_forget box
for pod in bare twin blocked; do
    lab_pod_del "$pod"
done
eventually "those without a runtime's ID go with their interfaces" 5 enforced_are "api db intruder web"
lab_end
