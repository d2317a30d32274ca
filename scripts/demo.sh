#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# podfence in a minute: one node in its own namespaces, four pods through the real chain
# bridge -> portmap -> podfence, real connections, expected beside measured. As root on Debian 12.
# Exit status 1 when anything is not as expected.
#   --tour      another: a shop of eight services, from the first flows to policies in force and a cut
#   --keep      leave the node running and print what to try
#   --no-build  use what is in build/
set -euo pipefail

source_dir=$(cd "$(dirname "$0")/.." && pwd)
data=$source_dir/test/e2e/data
keep=
tour=
build=yes
for argument in "$@"; do
    case $argument in
        --keep) keep=yes ;;
        --tour) tour=yes ;;
        --no-build) build= ;;
        *)
            sed -n '3,9s/^# \{0,1\}//p' "$0"
            exit 2
            ;;
    esac
done

# The demo's node has podfence's own paths, so that commands can be typed as they would be.
export LAB_BPFFS=/sys/fs/bpf/podfence LAB_SOCKET=/run/podfence/podfenced.sock LAB_QUIET=1
if [ -z "${LAB_INSIDE:-}" ] && [ -n "$build" ]; then
    if [ "$(id -u)" -eq 0 ]; then
        "$source_dir/scripts/deps.sh"
    fi
    echo "building"
    "$source_dir/scripts/build.sh" >"$source_dir/build.log" 2>&1 || {
        cat "$source_dir/build.log"
        exit 1
    }
    rm -f "$source_dir/build.log"
fi
# shellcheck source=test/e2e/lab.sh
source "$source_dir/test/e2e/lab.sh"

# ---- --keep: the node goes on when this script has ended -----------------------------------------

if [ -n "$keep$tour" ] && [ "$keep" = "$tour" ]; then
    echo "demo.sh: --tour and --keep do not go together" >&2
    exit 2
fi
if [ -n "$keep" ] && [ -z "${LAB_INSIDE:-}" ]; then
    pipe=$(mktemp -u)
    mkfifo -m 0600 "$pipe"
    LAB_INSIDE=1 DEMO_PIPE=$pipe setsid "${LAB_UNSHARE[@]}" "$BASH" "$0" "$@" &
    outer=$!
    # whatever happens to the node, its end of the pipe closes
    exec 8<"$pipe"
    rm -f "$pipe"
    if read -r -u 8 status; then
        node=$(pgrep -P "$outer")
        cat <<TEXT

The node goes on. Enter it, and try:

  nsenter -t $node -m -n -p bash
  export PATH=$LAB_BIN:\$PATH
  podfencectl status
  podfencectl endpoints
  podfencectl observe -f &
  nsenter --net=/run/netns/intruder $LAB_TOOLS/netprobe try tcp,\$(cat $LAB/db.address),5432
  podfencectl trace --from shop/intruder --to shop/db --port 5432/TCP
  cp $data/cut.yaml $LAB/objects/         # cut api off from db, at once
  rm $LAB/objects/cut.yaml                # and undo it
  cat $LAB/daemon.log

Clean up (everything lives in the node's namespaces and ends with its first process):

  kill -9 $node
TEXT
        exit "$status"
    fi
    wait "$outer"
    exit 1
fi
[ -z "${DEMO_PIPE:-}" ] || exec 9>"$DEMO_PIPE"
lab_enter "$@"

# ---- what is shown -------------------------------------------------------------------------------

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31;1m' plain=$'\e[0m'
else
    bold='' dim='' green='' red='' plain=''
fi
cells=0
wrong=0

heading() {
    printf '\n%s%s%s\n' "$bold" "$*" "$plain"
}

rows=(web api db intruder node)
columns=("web tcp 8080" "api tcp 8080" "api udp 5353" "db tcp 5432" "db sctp 9000" "db icmp 0")

# matrix TABLE: lines as in test/e2e/data; measured over IPv4 and IPv6, which must agree.
matrix() {
    local -A expected=() measured=()
    local from to proto port family wanted got row column key text
    lab_measure <"$1"
    while read -r from to proto port family wanted got; do
        key="$from $to $proto $port"
        [ "$wanted" = ok ] && expected[$key]=yes || expected[$key]=no
        case $got in
            ok) got=yes ;;
            timeout) got=no ;;
        esac
        if [ "$family" = 4 ]; then
            measured[$key]=$got
        elif [ "${measured[$key]}" != "$got" ]; then
            measured[$key]="v4:${measured[$key]} v6:$got"
        fi
    done < <(printf '%s\n' "${lab_lines[@]}")
    printf '\n  %-10s' 'from \ to'
    for column in "${columns[@]}"; do
        printf '%-12s' "${column%% *}"
    done
    printf '\n  %-10s' ''
    for column in "${columns[@]}"; do
        read -r _ proto port <<<"$column"
        [ "$proto" != icmp ] && text="${proto^^} $port" || text='ICMP echo'
        printf '%-12s' "$text"
    done
    printf '\n'
    for row in "${rows[@]}"; do
        printf '  %-10s' "$row"
        for column in "${columns[@]}"; do
            cell "${expected["$row $column"]:-}" "${measured["$row $column"]:-}"
        done
        printf '\n'
    done
}

# cell EXPECTED MEASURED
cell() {
    local colour=$dim sign='='
    if [ -z "$1" ]; then
        printf '%-12s' '.'
        return
    fi
    cells=$((cells + 1))
    if [ "$1" != "$2" ]; then
        wrong=$((wrong + 1))
        colour=$red sign='!'
    elif [ "$1" = yes ]; then
        colour=$green
    fi
    printf '%s%-12s%s' "$colour" "$(printf '%-3s %s %s' "$1" "$sign" "$2")" "$plain"
}

# verify WHAT MEASURED EXPECTED: one more cell, outside the table.
verify() {
    cells=$((cells + 1))
    if [ "$2" != "$3" ]; then
        wrong=$((wrong + 1))
        printf '  %s%s: %s, expected %s%s\n' "$red" "$1" "$2" "$3" "$plain"
    else
        printf '  %s: %s%s%s\n' "$1" "$green" "$2" "$plain"
    fi
}

show() {
    printf '\n  %s$ podfencectl %s%s\n' "$dim" "$*" "$plain"
    # the first part, as far as it fits here
    lab_ctl "$@" 2>&1 | awk '/^$/ { ended = 1 } NR <= 9 && !ended { print "  " substr($0, 1, 118) }'
}

# This machine's own pins are out of reach.
mount --bind "$LAB/bpf" /sys/fs/bpf
mkdir -p /run/podfence

if [ -n "$tour" ]; then
    # shellcheck source=scripts/demo-tour.sh
    source "$source_dir/scripts/demo-tour.sh"
    tour
    exit "$((wrong > 0))"
fi

# ---- the demo ------------------------------------------------------------------------------------

lab_chain bridge
lab_object policies <"$data/shop.yaml"
lab_swap
begin=$(lab_now)
lab_daemon_start
heading "One node, its daemon (up after $(lab_since "$(lab_now)" "$begin") ms), four pods through bridge -> portmap -> podfence"
for pod in web api db intruder; do
    begin=$(lab_now)
    lab_pod_add "$pod" "app=$pod"
    printf '  %-10s app=%-10s %-12s %-14s up after %4d ms\n' "$pod" "$pod" "${LAB_POD_IP4[$pod]}" \
        "${LAB_POD_IP6[$pod]}" "$(lab_since "$(lab_now)" "$begin")"
done
echo "${LAB_POD_IP4[db]}" >"$LAB/db.address"

heading "1. Who reaches whom: expected = measured, real connections over IPv4 and IPv6"
cat <<'TEXT'
  web is open to all on its port http; api only to web; db only to api, and db itself may ask
  nobody; the node reaches its pods (probes). Objects in a folder shaped like a mounted ConfigMap.
TEXT
matrix "$data/demo.table"

heading "2. A new label moves a pod: intruder becomes app=api"
begin=$(lab_now)
lab_pod_object intruder app=api
lab_swap
if reached=$(lab_in intruder "$LAB_TOOLS/netprobe" await "tcp,${LAB_POD_IP4[db]},5432"); then
    verify "intruder reaches db" "yes" "yes"
    printf '  first connection %s%d ms%s after the object changed\n' "$bold" "$(lab_since "$reached" "$begin")" "$plain"
else
    verify "intruder reaches db" "no" "yes"
fi
lab_publish
matrix "$data/demo-relabelled.table"
lab_pod_object intruder app=intruder
lab_publish
verify "with its old label again, intruder reaches db" "$([ "$(lab_reach intruder db tcp 5432)" = ok ] && echo yes || echo no)" no

heading "3. The emergency cut: a Denylist while api streams from db"
lab_stream tcp api db tcp 5432
lab_stream probe node db udp 53
sleep 0.5
lab_object cut <"$data/cut.yaml"
begin=$(lab_now)
lab_swap
if (eventually "cut" 5 grep -q '^cut' "$LAB/out/tcp") 2>/dev/null; then
    verify "the stream is" "cut" "cut"
    printf '  last answer %s%d ms%s after the policy appeared\n' "$bold" "$(lab_since "$(lab_stream_time tcp cut)" "$begin")" "$plain"
else
    verify "the stream is" "running" "cut"
fi
verify "a new connection" "$([ "$(lab_reach api db tcp 5432)" = ok ] && echo accepted || echo 'no answer')" "no answer"
lab_object_remove cut
begin=$(lab_now)
lab_swap
reached=$(lab_in api "$LAB_TOOLS/netprobe" await "tcp,${LAB_POD_IP4[db]},5432") || reached=
verify "after its removal a new connection" "$([ -n "$reached" ] && echo accepted || echo 'no answer')" "accepted"
[ -z "$reached" ] || printf '  first connection %s%d ms%s after the policy had gone\n' "$bold" "$(lab_since "$reached" "$begin")" "$plain"
if (eventually "resumed" 5 grep -q '^resumed' "$LAB/out/tcp") 2>/dev/null; then
    verify "the same stream" "goes on" "goes on"
    printf '  %s%d ms%s after the policy had gone (TCP retransmits in its own time)\n' "$bold" "$(lab_since "$(lab_stream_time tcp resumed)" "$begin")" "$plain"
else
    verify "the same stream" "stays cut" "goes on"
fi
verify "cuts of the node's own stream to db meanwhile" "$(grep -c '^cut' "$LAB/out/probe" || true)" 0
lab_stream_stop probe

heading "4. The daemon is killed (-9): enforcement stays, connections stay"
cuts=$(grep -c '^cut' "$LAB/out/tcp" || true)
lab_daemon_kill
matrix "$data/demo.table"
lab_daemon_start
verify "cuts of the stream" "$(($(grep -c '^cut' "$LAB/out/tcp" || true) - cuts))" 0
verify "map writes of the new daemon" "$(lab_status .lastApply.writes)" 0
lab_stream_stop tcp

heading "5. What one can ask"
show endpoints
show trace --from shop/intruder --to shop/db --port 5432/TCP
show connections --pod shop/db
show status

heading "Result"
if [ -n "$keep" ]; then
    printf '  %d of %d as expected\n' "$((cells - wrong))" "$cells"
    echo "$((wrong > 0))" >&9
    exec 9>&- >/dev/null 2>&1 </dev/null
    exec sleep infinity
fi
lab_end >"$LAB/out/end"
printf '  %d of %d as expected, %d s; all pods deleted, nothing left behind\n' \
    "$((cells - wrong))" "$cells" "$SECONDS"
[ "$wrong" -eq 0 ]
