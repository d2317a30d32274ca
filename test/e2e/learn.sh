#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# learn.sh: the round trip on three worlds at once: traffic, what is learned from it, the same in Audit
# mode (nothing to tell), the same enforced (all of it passes, and what was not seen does not).
# The worlds: the shop; one with the outside, ICMP, port ranges and probes; one of odd labels.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/lab.sh"
lab_enter "$@"
# shellcheck source=test/e2e/lab-shop.sh
source "$LAB_SOURCE/test/e2e/lab-shop.sh"

edge_lawful() {
    sed "s/\$/ $1/" <<'TABLE'
outside > gate tcp 8080
outside > gate icmp 0
gate > worker tcp 9001
gate > worker tcp 9002
gate > worker tcp 9003
gate > worker udp 9001
gate > worker icmp 0
worker > outside tcp 443
worker > excepted icmp 0
TABLE
}

edge_unlawful() {
    sed "s/\$/ $1/" <<'TABLE'
outside > worker tcp 9001
gate > worker tcp 9004
worker > gate tcp 8080
excepted > gate udp 9001
gate > outside tcp 443
worker > excepted tcp 443
TABLE
}

odd_lawful() {
    sed "s/\$/ $1/" <<'TABLE'
truth > dns udp 53
dns > role tcp 80
role > upper sctp 9000
upper > truth tcp 8080
twin > role tcp 80
TABLE
}

odd_unlawful() {
    sed "s/\$/ $1/" <<'TABLE'
truth > dns tcp 80
dns > truth tcp 8080
role > dns udp 53
upper > role tcp 80
truth > twin tcp 80
twin > dns udp 53
TABLE
}

# The node's probes and what goes to the node: allowed whatever is learned.
node_traffic() {
    lab_expect <<'TABLE'
node > gate tcp 8080 ok
node > db tcp 5432 ok
node > truth tcp 8080 ok
worker > node icmp 0 ok
TABLE
}

lawful() {
    lab_expect < <(lab_shop_lawful "$1" && edge_lawful "$1" && odd_lawful "$1")
}

unlawful() {
    # excepted is another address of outside
    lab_expect < <({ lab_shop_unlawful "$1" && edge_unlawful "$1" && odd_unlawful "$1"; } | grep -v '^excepted')
}

add_pod() {
    local namespace=$1 pod=$2
    shift 2
    lab_pod_new "$pod"
    LAB_NAMESPACE=$namespace lab_pod_object "$pod" "$@"
}

serve_pod() {
    LAB_NAMESPACE=$1 lab_pod_attach "$2" || lab_fail "ADD of $2: $(cat "$LAB/out/$2")"
    lab_pod_serve "$2"
}

# shellcheck disable=SC2034 # lab_pod_serve's
worlds_add() {
    local pod
    lab_shop_add
    add_pod edge gate app.kubernetes.io/name=gate
    add_pod edge worker app=worker app.kubernetes.io/name=gate # the same name, behind another
    add_pod odd truth app=true
    add_pod odd dns k8s-app=true
    add_pod odd role role=db
    add_pod odd twin role=db tier=x
    add_pod odd upper app=Front_End.v2 pod-template-hash=5d4f8c7b96
    lab_publish
    local -a LAB_PORTS=(tcp:8080 tcp:9001 tcp:9002 tcp:9003 tcp:9004 udp:9001)
    for pod in gate worker; do
        serve_pod edge "$pod"
    done
    LAB_PORTS=(tcp:80 tcp:8080 udp:53 sctp:9000)
    for pod in truth dns role twin upper; do
        serve_pod odd "$pod"
    done
    outside_server=$(lab_in outside "$LAB_TOOLS/netprobe" serve tcp:443)
}

# The book asks for events when it has seen that it lacks addresses.
outside_is_told() {
    edge_lawful ok | grep -E 'outside|excepted' >"$LAB/out/outside"
    lab_expect <"$LAB/out/outside" && ! lab_has '(0.0.0.0|::)/0' learn -n edge --kind SegmentPolicy 2>/dev/null
}

learn_worlds() {
    lab_ctl learn --isolate both "$@" -n shop -n billing -n data >"$LAB/out/learned-shop" 2>"$LAB/out/said-shop"
    lab_ctl learn --isolate both "$@" -n edge --kind SegmentPolicy >"$LAB/out/learned-edge" 2>"$LAB/out/said-edge"
    lab_ctl learn --isolate both "$@" -n odd -o json >"$LAB/out/learned-odd" 2>"$LAB/out/said-odd"
}

apply_worlds() {
    local world
    for world in shop edge odd; do
        lab_ctl validate "$LAB/out/learned-$world" >"$LAB/out/validated" || lab_fail "$(cat "$LAB/out/validated")"
        lab_object "learned-$world" <"$LAB/out/learned-$world"
    done
    lab_publish
}

# The same policies out of Audit mode.
enforce_worlds() {
    local world
    for world in shop edge odd; do
        sed -i -e '/podfence.io\/enforcement: Audit/d' -e 's/enforcement: Audit/enforcement: Enforce/' \
            -e 's/"podfence.io\/enforcement":"Audit",//g' "$LAB/out/learned-$world"
    done
}

# would_break [OPTION...]: the connections that diff --live lists, one a line.
would_break() {
    lab_ctl diff --live -o json "$@" | jq -r '.pairs[] | "\(.from) > \(.to) \(.protocol) \(.port) \(.policy) \(.rule)"'
}

second() {
    sleep 1.1 # "since" is in whole seconds
    date -u +%Y-%m-%dT%H:%M:%SZ
}

lab_chain bridge
mkdir -p "$LAB/objects"
lab_daemon_start --audit-annotation
worlds_add

lab_say "traffic without policies; the book hears the addresses outside once it has seen the need"
lawful ok
node_traffic
eventually "the addresses outside are told" 10 outside_is_told

lab_say "learned: eight, two and five policies, each what was seen and no more"
learn_worlds
for world in shop:8:NetworkPolicy edge:2:SegmentPolicy "odd:5:NetworkPolicy"; do
    IFS=: read -r name count kind <<<"$world"
    expect_equal "policies of $name" "$(grep -oE "\"?kind\"?: ?\"?$kind" "$LAB/out/learned-$name" | wc -l)" "$count"
    expect_match "a short time is said" "$(cat "$LAB/out/said-$name")" 'a short time'
done
expect_match "a range" "$(cat "$LAB/out/learned-edge")" 'port: 9001'$'\n'' *endPort: 9003'
expect_match "addresses outside" "$(cat "$LAB/out/learned-edge")" '192.0.2.200/32'
expect_equal "blocks of everything" "$(grep -cE '"(0.0.0.0|::)/0"' "$LAB/out/learned-edge" || true)" 0
if grep -rq pod-template-hash "$LAB/out/learned-odd"; then lab_fail "a generated label is in a selector"; fi

lab_say "in Audit mode: the same traffic has nothing to tell, another has"
learn_worlds --audit
apply_worlds
since=$(second)
lab_background node audits "$LAB_BIN/podfencectl" --bpffs "$LAB_BPFFS" --socket "$LAB_SOCKET" observe -f --verdict AUDIT -o json
observer=$LAB_PID
sleep 0.3
lawful ok
node_traffic
lab_ctl diff --live --since "$since" --expect none >"$LAB/out/live" || lab_fail "would break: $(cat "$LAB/out/live")"
expect_equal "AUDIT events of lawful traffic" "$(cat "$LAB/out/audits")" ""
unlawful ok
eventually "AUDIT events of the other traffic" 5 test -s "$LAB/out/audits"
kill "$observer"
wait "$observer" 2>/dev/null || true
status=0
lab_ctl diff --live --since "$since" --expect none >/dev/null || status=$?
expect_equal "exit status of diff --live --expect none" "$status" 3
would_break --since "$since" >"$LAB/out/live"
for line in 'shop/web > data/db TCP 5432 NetworkPolicy/shop/learned-web null' \
    'shop/web > data/db TCP 5432 NetworkPolicy/data/learned-db null' \
    'edge/gate > edge/worker TCP 9004 SegmentPolicy/edge/learned-worker null' \
    'world > edge/worker TCP 9001 SegmentPolicy/edge/learned-worker null'; do
    grep -Fxq "$line" "$LAB/out/live" || lab_fail "diff --live does not list '$line': $(cat "$LAB/out/live")"
done

lab_say "enforced: the same traffic passes, the other does not, and no rule is unused or too wide"
enforce_worlds
apply_worlds
since=$(second)
lawful ok
node_traffic
unlawful deny
lab_ctl learn --check --expect none --since "$since" "$LAB/out/learned-shop" "$LAB/out/learned-edge" "$LAB/out/learned-odd" \
    >"$LAB/out/checked" || lab_fail "learn --check: $(cat "$LAB/out/checked")"
expect_match "learn after it" "$(lab_ctl learn --since "$since" -n data 2>&1 >/dev/null)" \
    'denied, not proposed: shop/web > data/db TCP/5432 .* policy=NetworkPolicy/shop/learned-web'

lab_say "podfenced --audit-all: the same policies deny nothing, and tell"
lab_daemon_stop
lab_daemon_start --audit-all
lab_publish
since=$(second)
unlawful ok
would_break --since "$since" >"$LAB/out/live"
grep -Fxq 'shop/web > data/db TCP 5432 NetworkPolicy/data/learned-db null' "$LAB/out/live" ||
    lab_fail "diff --live with --audit-all: $(cat "$LAB/out/live")"
kill "$outside_server"
lab_end
