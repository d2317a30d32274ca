#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What events cost: observe.sh [--quick] [--check] [--json FILE]
#   1. the rate of new connections when every one of them is told, against the same run with nobody
#      listening (sockets.sh --events)
#   2. 100,000 drops a second from a pod, to random ports and to one: what of a core podfenced takes,
#      and whether the books balance: what was told, told as a number or counted as lost is what was
#      dropped
# FENCE_DAEMON_OPTIONS: more options of those podfenced that tell, such as --event-log /tmp/events-%n
# (%n: another one for each). Exit 1 when the books do not balance; with --check also when a target is
# missed.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/../e2e/lab.sh"

quick='' check='' json=/dev/null
arguments=("$@")
while [ $# -gt 0 ]; do
    case $1 in
        --quick) quick=--quick ;;
        --check) check=--check ;;
        --json)
            json=$2
            shift
            ;;
        *)
            sed -n '3,12s/^# \{0,1\}//p' "$0" >&2
            exit 2
            ;;
    esac
    shift
done

if [ -z "${LAB_INSIDE:-}" ]; then
    OBSERVE_OUT=$(mktemp -d)
    export OBSERVE_OUT OBSERVE_MISSED=0
    # shellcheck disable=SC2086 # empty or one word
    "$(dirname "$0")/sockets.sh" --events $quick $check --json "$OBSERVE_OUT/connections.json" || OBSERVE_MISSED=1
    printf '\n'
fi
set -- "${arguments[@]}"
lab_enter "$@"
LAB_QUIET=yes

rate=100000
seconds=10
[ -z "$quick" ] || seconds=4
cpu_target=0.20
status=0

# ns that podfenced has had a core so far.
daemon_ns() {
    awk '{ print $1 }' "/proc/$LAB_DAEMON_PID/schedstat"
}

# counter REASON: packets of both directions.
counter() {
    lab_ctl status -o json | jq --arg reason "$1" '[.pins.counters[] | select(.reason == $reason) | .packets] | add // 0'
}

# Records in the observer's file, and the drops that they say were left out.
told() {
    jq -s '[(map(select(.event != "suppressed")) | length), (map(.suppressed // 0) | add // 0)] | "\(.[0]) \(.[1])"' -r "$LAB/out/told"
}

# All that was left out has been told as a number, and read.
is_told() {
    local records numbers
    read -r records numbers <<<"$(told)"
    [ "$((records + numbers + $(counter event-lost) - lost))" -ge "$(($(counter no-rule) - dropped))" ]
}

# flood random|equal: one line of the table, and of the file for the summary.
flood() {
    local cpu sent ms records numbers begin all gone share met=met
    : >"$LAB/out/told"
    lab_background node told "$LAB_BIN/podfencectl" --bpffs "$LAB_BPFFS" --socket "$LAB_SOCKET" observe -f -o json --verdict DROPPED
    sleep 1
    dropped=$(counter no-rule) lost=$(counter event-lost) begin=$(counter event-suppressed) cpu=$(daemon_ns)
    read -r sent ms <<<"$(lab_in flooder "$LAB_TOOLS/bench-flood" 192.0.2.100 "$rate" "$seconds" "$1")"
    cpu=$(($(daemon_ns) - cpu))
    eventually "all drops are accounted for" 10 is_told
    kill "$LAB_PID"
    wait "$LAB_PID" 2>/dev/null || true
    read -r records numbers <<<"$(told)"
    all=$(($(counter no-rule) - dropped)) gone=$(($(counter event-lost) - lost))
    [ "$((records + numbers + gone))" = "$all" ] || {
        echo "! $1: $records + $numbers + $gone is not $all" >&2
        status=1
    }
    [ "$(($(counter event-suppressed) - begin))" = "$numbers" ] || {
        echo "! $1: the kernel left out $(($(counter event-suppressed) - begin)), told were $numbers" >&2
        status=1
    }
    share=$(awk -v cpu="$cpu" -v ms="$ms" 'BEGIN { printf "%.3f", cpu / ms / 1e6 }')
    awk -v share="$share" -v target="$cpu_target" 'BEGIN { exit !(share <= target) }' || met=MISSED
    printf '  %-12s %9d %12d %9d %9d %6d %8s  at most %s of a core %s\n' "$1" "$((sent * 1000 / ms))" "$all" "$records" \
        "$numbers" "$gone" "$share" "$cpu_target" "$met"
    [ "$met" = met ] || OBSERVE_MISSED=1
    jq -n --arg ports "$1" --argjson rate "$((sent * 1000 / ms))" --argjson dropped "$all" --argjson told "$records" \
        --argjson number "$numbers" --argjson lost "$gone" --argjson core "$share" \
        '{$ports, $rate, $dropped, $told, toldAsNumber: $number, $lost, coreShare: $core}' >>"$LAB/out/floods"
}

lab_chain bridge
lab_object policies <<YAML
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: closed, namespace: shop }
spec: { podSelector: {}, policyTypes: [Egress] }
YAML
lab_swap
read -ra options <<<"${FENCE_DAEMON_OPTIONS:-}"
lab_daemon_start "${options[@]//%n/flood}"
lab_pods_add flooder

printf '%s drops a second, %s s\n' "$rate" "$seconds"
printf '  %-12s %9s %12s %9s %9s %6s %8s\n' ports "a second" dropped told "as number" lost "of core"
flood random
flood equal
jq -n --slurpfile connections "$OBSERVE_OUT/connections.json" --slurpfile floods "$LAB/out/floods" \
    '{connections: $connections[0], floods: $floods}' >"$json"
rm -rf "$OBSERVE_OUT"
[ -z "$check" ] || [ "$OBSERVE_MISSED" = 0 ] || status=1
exit "$status"
