# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# demo.sh --tour, sourced by it: a shop of eight services runs without policies; its policies are learned
# from its traffic, tried in Audit mode, enforced, one service is cut off, and all of it is a picture in the end.
# Real connections; what is expected stands beside what was measured.
# shellcheck disable=SC2154 # dim, bold and the like are demo.sh's, lab_lines is lab-shop.sh's
# shellcheck disable=SC2034 # columns of a table that nobody needs

# shellcheck source=test/e2e/lab-shop.sh
source "$LAB_SOURCE/test/e2e/lab-shop.sh"

TOUR_NAMESPACES=(-n shop -n billing -n data)
TOUR_GRAPH=$LAB_BUILD/tour.html

# command COMMAND...: shown as it would be typed, and run; its output is the caller's.
command_shown() {
    printf '  %s$ %s%s\n' "$dim" "$*" "$plain"
}

podfencectl() {
    lab_ctl "$@"
}

# The first lines of the standard input, cut to the terminal.
shown() {
    awk -v most="${1:-12}" 'NR <= most { print "    " substr($0, 1, 114) } END { if (NR > most) printf "    (%d lines more)\n", NR - most }'
}

now_utc() {
    sleep 1.1 # "since" is in whole seconds
    date -u +%Y-%m-%dT%H:%M:%SZ
}

# connections: lines of lab-shop.sh with ok or deny. Measured over IPv4 and IPv6, a line a source.
connections() {
    local from to proto port family wanted got key last=''
    local -A measured=() expected=()
    local -a order=()
    lab_measure
    while read -r from to proto port family wanted got; do
        key="$from $to $port/$proto"
        [ -n "${measured[$key]:-}" ] || order+=("$key")
        [ "$wanted" = ok ] && expected[$key]=yes || expected[$key]=no
        case $got in
            ok) got=yes ;;
            timeout) got=no ;;
        esac
        [ "${measured[$key]:-$got}" = "$got" ] && measured[$key]=$got || measured[$key]=differs
    done < <(printf '%s\n' "${lab_lines[@]}")
    while read -r from to port; do
        [ "$from" = "$last" ] || printf '%s  %-9s' "${last:+$'\n'}" "$from"
        last=$from
        key="$from $to $port"
        printf ' %s ' "$to:${port%/tcp}"
        cell "${expected[$key]}" "${measured[$key]}" | sed 's/ *\(\x1b\[0m\)\?$/\1/' # as wide as it is
        count_cell "${expected[$key]}" "${measured[$key]}"
    done < <(printf '%s\n' "${order[@]}" | sort -s -k1,1)
    printf '\n'
}

# cell counts where it runs, which is in a pipe above
count_cell() {
    cells=$((cells + 1))
    [ "$1" = "$2" ] || wrong=$((wrong + 1))
}

lawful() {
    connections < <(lab_shop_lawful ok)
}

# unlawful ok|deny
unlawful() {
    connections < <(lab_shop_unlawful "$1")
}

tour_begin() {
    local begin
    lab_chain bridge
    lab_object namespaces </dev/null
    lab_swap
    begin=$(lab_now)
    command_shown podfenced --objects /etc/podfence/objects --audit-annotation
    lab_daemon_start --audit-annotation
    lab_shop_add
    printf '  eight services in three namespaces, each behind bridge -> portmap -> podfence, %d ms\n\n' \
        "$(lab_since "$(lab_now)" "$begin")"
    printf '  What the shop does, and what it has no use for: nothing is refused.\n'
    lawful
    unlawful ok
}

tour_learn() {
    local count
    TOUR_SINCE=$(now_utc)
    printf '  The shop does its work; then its flows are asked for.\n'
    lawful
    command_shown podfencectl top --lines 6
    podfencectl top --lines 6 --since "$TOUR_SINCE" | shown 8
    command_shown podfencectl learn --since "$TOUR_SINCE" "${TOUR_NAMESPACES[@]}" --isolate both --audit '> learned.yaml'
    podfencectl learn --since "$TOUR_SINCE" "${TOUR_NAMESPACES[@]}" --isolate both --audit \
        >"$LAB/learned.yaml" 2>"$LAB/out/said"
    shown 3 <"$LAB/out/said"
    count=$(grep -c '^kind: NetworkPolicy' "$LAB/learned.yaml" || true)
    verify "policies proposed" "$count" 8
    printf '  the first of them:\n'
    awk '/^---/ { exit } { print }' "$LAB/learned.yaml" | shown 24
    command_shown podfencectl validate learned.yaml
    verify "objects that are refused" "$(podfencectl validate -o json "$LAB/learned.yaml" | jq .refused)" 0
}

tour_audit() {
    local begin
    command_shown cp learned.yaml /etc/podfence/objects/
    lab_object learned <"$LAB/learned.yaml"
    begin=$(lab_now)
    lab_swap
    command_shown podfencectl status --wait data/learned-db
    verify "in force" "$(podfencectl status --wait data/learned-db --file "$LAB/learned.yaml" >"$LAB/out/waited" 2>&1 && echo yes || cat "$LAB/out/waited")" yes
    printf '  after %d ms\n' "$(lab_since "$(lab_now)" "$begin")"
    TOUR_SINCE=$(now_utc)
    printf '  The shop works as before. What would break?\n'
    lawful
    command_shown podfencectl diff --live --since "$TOUR_SINCE"
    verify "connections that would break" "$(would_break)" 0
    printf '  Now what it has no use for: nothing is refused yet, and all of it is told.\n'
    unlawful ok
    command_shown podfencectl diff --live --since "$TOUR_SINCE"
    podfencectl diff --live --since "$TOUR_SINCE" | shown 14
    verify "connections that would break, by their ends and ports" "$(would_break)" "$(lab_shop_unlawful | wc -l)"
}

# Pairs and ports, whichever of the two ends would refuse them.
would_break() {
    podfencectl diff --live --since "$TOUR_SINCE" -o json |
        jq '[.pairs[] | [.from, .to, .protocol, .port]] | unique | length'
}

tour_enforce() {
    local begin
    command_shown sed -i "'/podfence.io.enforcement: Audit/d'" learned.yaml
    sed -i '/podfence.io\/enforcement: Audit/d' "$LAB/learned.yaml"
    lab_object learned <"$LAB/learned.yaml"
    begin=$(lab_now)
    lab_swap
    command_shown podfencectl status --wait data/learned-db --file learned.yaml
    podfencectl status --wait data/learned-db --file "$LAB/learned.yaml" >/dev/null
    printf '  in force after %d ms\n' "$(lab_since "$(lab_now)" "$begin")"
    TOUR_SINCE=$(now_utc)
    lawful
    unlawful deny
    command_shown podfencectl learn --check learned.yaml
    verify "rules that are not used, or wider than what was seen" \
        "$(podfencectl learn --check --since "$TOUR_SINCE" --expect none "$LAB/learned.yaml" >"$LAB/out/checked" 2>&1 && echo none || cat "$LAB/out/checked")" none
    command_shown podfencectl observe --since 1m --verdict DROPPED --to data/db
    podfencectl observe --since 1m --verdict DROPPED --to data/db | tail -n 4 | shown
}

tour_cut() {
    local begin cut_ms
    lab_stream tcp orders payments tcp 8443
    lab_stream calm cart cache tcp 6379
    sleep 0.4
    command_shown podfencectl cut billing/app=payments --for 5s --reason "'incident 7'"
    begin=$(lab_now)
    podfencectl cut billing/app=payments --for 5s --reason 'incident 7' | shown 4
    cut_ms=$(lab_since "$(lab_now)" "$begin")
    printf '  the command returned after %s%d ms%s\n' "$bold" "$cut_ms" "$plain"
    (eventually cut 3 grep -q '^cut' "$LAB/out/tcp") 2>/dev/null || true
    verify "the stream from orders to payments is" "$(grep -q '^cut' "$LAB/out/tcp" && echo cut || echo running)" cut
    verify "a new connection" "$([ "$(LAB_TIMEOUT_MS=300 lab_reach orders payments tcp 8443)" = ok ] && echo accepted || echo 'no answer')" "no answer"
    command_shown podfencectl cut list
    podfencectl cut list | shown 4
    printf '  The daemon is killed (-9): it is the kernel that undoes the cut.\n'
    lab_daemon_kill
    (eventually resumed 10 grep -q '^resumed' "$LAB/out/tcp") 2>/dev/null || true
    verify "the same stream" "$(grep -q '^resumed' "$LAB/out/tcp" && echo 'goes on' || echo 'is cut')" "goes on"
    verify "stream of cart to cache meanwhile, cuts" "$(grep -c '^cut' "$LAB/out/calm" || true)" 0
    lab_daemon_start --audit-annotation
    lab_stream_stop tcp
    lab_stream_stop calm
}

tour_graph() {
    local nodes edges
    command_shown podfencectl graph -o html --file "$TOUR_GRAPH"
    podfencectl graph -o html --file "$TOUR_GRAPH"
    nodes=$(podfencectl graph -o json | jq '[.nodes[] | select(.kind == "workload")] | length')
    edges=$(podfencectl graph -o json | jq '.edges | length')
    verify "workloads in it" "$nodes" 8
    printf '  %d arrows; one file of %d kB, for any browser: %s%s%s\n' "$edges" "$(($(stat -c %s "$TOUR_GRAPH") / 1000))" \
        "$bold" "$TOUR_GRAPH" "$plain"
}

# On a terminal only: who talks to whom now, until a key.
tour_live() {
    local traffic view
    [ -t 0 ] && [ -t 1 ] || return 0
    heading "Live: podfencectl top -f (any key ends it)"
    trap : INT
    while :; do lab_measure < <(lab_shop_lawful ok); done >/dev/null 2>&1 &
    traffic=$!
    # no function in between: its number is to be podfencectl's own
    "$LAB_BIN/podfencectl" --bpffs "$LAB_BPFFS" --socket "$LAB_SOCKET" top -f --lines 20 &
    view=$!
    read -rsn 1 _ || true
    kill "$view" "$traffic" 2>/dev/null || true
    wait "$view" "$traffic" 2>/dev/null || true
    trap 'exit 130' INT
}

tour() {
    heading "1. A shop without policies"
    tour_begin
    heading "2. Learn: policies out of what was seen"
    tour_learn
    heading "3. Audit: what would break, before anything does"
    tour_audit
    heading "4. Enforce"
    tour_enforce
    heading "5. The emergency cut: payments, for five seconds"
    tour_cut
    heading "6. The picture"
    tour_graph
    tour_live
    heading "Result"
    lab_end >"$LAB/out/end"
    printf '  %d of %d as expected, %d s; all pods deleted, nothing left behind\n' "$((cells - wrong))" "$cells" "$SECONDS"
    printf '  the picture: %s\n' "$TOUR_GRAPH"
}
