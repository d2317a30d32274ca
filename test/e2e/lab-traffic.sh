# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Real traffic, and what was expected of it.

LAB_TIMEOUT_MS=${LAB_TIMEOUT_MS:-800}

# The address of a pod, of the node or of somebody outside, in family 4 or 6; or an address as it is.
lab_address() {
    case $1/$2 in
        node/4) echo 192.0.2.1 ;;
        node/6) echo 2001:db8:2::1 ;;
        node2/4) echo 192.0.2.2 ;;
        node2/6) echo 2001:db8:2::2 ;;
        outside/4) echo 192.0.2.100 ;;
        outside/6) echo 2001:db8:2::100 ;;
        excepted/4) echo 192.0.2.200 ;;
        excepted/6) echo 2001:db8:2::200 ;;
        gateway/4) echo 10.88.0.1 ;;
        gateway/6) echo fd00:88::1 ;;
        *.*/*) lab_service_address "$1" "$2" ;;
        */4) echo "${LAB_POD_IP4[$1]}" ;;
        */6) echo "${LAB_POD_IP6[$1]}" ;;
    esac
}

# lab_try FROM TARGET...: TARGET is proto,address,port; one line each, "outcome target".
lab_try() {
    local from=$1
    shift
    lab_in "$from" "$LAB_TOOLS/netprobe" try -t "$LAB_TIMEOUT_MS" "$@"
}

# lab_reach FROM TO PROTO PORT [FAMILY]: the outcome alone.
lab_reach() {
    lab_try "$1" "$3,$(lab_address "$2" "${5:-4}"),$4" | cut -d ' ' -f 1
}

# Reads "FROM > TO PROTO PORT EXPECTED" lines (# begins a comment); leaves in lab_lines
# "FROM TO PROTO PORT FAMILY EXPECTED MEASURED", each line once a family. All at the same time.
declare -a lab_lines=()
lab_measure() {
    local from arrow to proto port expected family i
    local -A targets=()
    local -a rows=()
    while read -r from arrow to proto port expected; do
        [[ -n $from && $from != \#* ]] || continue
        [ "$arrow" = '>' ] || lab_fail "table line of another form: $from $arrow $to"
        for family in 4 6; do
            rows+=("$from $to $proto $port $family $expected")
            targets[$from]+=" $proto,$(lab_address "$to" $family),$port"
        done
    done
    for from in "${!targets[@]}"; do
        # shellcheck disable=SC2086 # a list
        lab_try "$from" ${targets[$from]} >"$LAB/out/try-$from" &
        targets[$from]=$!
    done
    for from in "${!targets[@]}"; do
        wait "${targets[$from]}" || lab_fail "netprobe in $from"
        mapfile -t "lab_column_${from//-/_}" < <(cut -d ' ' -f 1 "$LAB/out/try-$from")
        targets[$from]=0
    done
    lab_lines=()
    for i in "${!rows[@]}"; do
        from=${rows[i]%% *}
        local -n column="lab_column_${from//-/_}"
        lab_lines+=("${rows[i]} ${column[targets[$from]]}")
        targets[$from]=$((targets[$from] + 1))
    done
}

# Every line must be as expected: ok, or deny (no answer at all), or refused (by the server itself).
lab_expect() {
    local from to proto port family expected measured wrong=0
    lab_measure
    while read -r from to proto port family expected measured; do
        [ "$expected" != deny ] || expected=timeout
        if [ "$measured" != "$expected" ]; then
            printf 'FAIL: %s > %s %s %s over IPv%s: measured %s, expected %s\n' \
                "$from" "$to" "$proto" "$port" "$family" "$measured" "$expected" >&2
            wrong=$((wrong + 1))
        fi
    done < <(printf '%s\n' "${lab_lines[@]}")
    [ "$wrong" -eq 0 ] || lab_fail "$wrong of ${#lab_lines[@]} not as expected"
    lab_say "${#lab_lines[@]} measured as expected"
}

# Lines that are known not to be as expected: each is shown; one that is as expected fails the test.
lab_expect_gaps() {
    local from to proto port family expected measured closed=0
    lab_measure
    [ ${#lab_lines[@]} -gt 0 ] || return 0
    while read -r from to proto port family expected measured; do
        [ "$expected" != deny ] || expected=timeout
        if [ "$measured" = "$expected" ]; then
            printf 'FAIL: %s > %s %s %s over IPv%s is no gap any more\n' "$from" "$to" "$proto" "$port" "$family" >&2
            closed=$((closed + 1))
        else
            printf 'KNOWN GAP: %s > %s %s %s over IPv%s: measured %s, to be %s\n' \
                "$from" "$to" "$proto" "$port" "$family" "$measured" "$expected" >&2
        fi
    done < <(printf '%s\n' "${lab_lines[@]}")
    [ "$closed" -eq 0 ] || lab_fail "$closed known gaps are closed: take their marks away"
}

# lab_sources AT PORT COMMAND...: the addresses that UDP datagrams to AT's port come from meanwhile.
lab_sources() {
    local at=$1 port=$2
    shift 2
    lab_background "$at" caught "$LAB_TOOLS/netprobe" catch -t 600 "$port"
    eventually "catch is ready" 5 grep -q ready "$LAB/out/caught"
    "$@" >/dev/null
    wait "$LAB_PID"
    sed -n 's/^seen //p' "$LAB/out/caught" | sort -u
}

# lab_stream NAME FROM TO PROTO PORT [FAMILY]: an echo stream in the background, into out/NAME.
declare -A LAB_STREAM=()
lab_stream() {
    lab_background "$2" "$1" "$LAB_TOOLS/netprobe" stream -l 600 -g "${LAB_GAP:-150}" "$4" "$(lab_address "$3" "${6:-4}")" "$5"
    LAB_STREAM[$1]=$LAB_PID
    eventually "stream $1 runs" 5 grep -q '^start' "$LAB/out/$1"
}

lab_stream_stop() {
    kill "${LAB_STREAM[$1]}" 2>/dev/null || true
    wait "${LAB_STREAM[$1]}" 2>/dev/null || true
    unset "LAB_STREAM[$1]"
}

# The time in the last line of a stream's output that begins with a word.
lab_stream_time() {
    awk -v word="$2" '$1 == word { time = $2 } END { print time }' "$LAB/out/$1"
}

lab_now() {
    "$LAB_TOOLS/netprobe" now
}

# lab_since LATER EARLIER: whole ms, at least 0.
lab_since() {
    awk -v a="$1" -v b="$2" 'BEGIN { d = a - b; printf "%d\n", d < 0 ? 0 : d }'
}
