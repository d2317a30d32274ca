# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Traffic that goes on while something is killed or replaced, between the pods of data/shop.yaml. Afterwards
# nothing lawful may have been cut or refused, and nothing unlawful answered.
#
#   lab_watch_begin; ...; lab_watch_check WHEN; ...; lab_watch_end

declare -A LAB_PROBER=()

# lab_prober NAME FROM TIMEOUT_MS TARGET...: new connections, again and again; outcomes into out/NAME.
lab_prober() {
    local name=$1 from=$2
    # shellcheck disable=SC2016 # for the inner shell
    lab_background "$from" "$name" "$BASH" -c 'while "$@"; do sleep 0.1; done' prober \
        "$LAB_TOOLS/netprobe" try -t "${@:3}"
    LAB_PROBER[$name]=$LAB_PID
}

lab_prober_stop() {
    kill "${LAB_PROBER[$1]}" 2>/dev/null || true
    wait "${LAB_PROBER[$1]}" 2>/dev/null || true
    unset "LAB_PROBER[$1]"
    eventually "the last probe has ended" 5 lab_prober_ended
}

lab_prober_ended() {
    [ ${#LAB_PROBER[@]} -gt 0 ] || ! grep -q ' try ' <<<"$(pgrep -x netprobe -a)"
}

# What intruder wants and may not have.
lab_hostile_begin() {
    local -a targets=()
    local family
    for family in 4 6; do
        targets+=("tcp,$(lab_address db $family),5432" "tcp,$(lab_address api $family),8080"
            "udp,$(lab_address api $family),5353" "icmp,$(lab_address db $family),0")
    done
    lab_prober hostile intruder 60 "${targets[@]}"
}

lab_watch_begin() {
    lab_stream tcp4 api db tcp 5432 4
    lab_stream tcp6 api db tcp 5432 6
    lab_stream udp4 web api udp 5353 4
    lab_prober lawful api 2000 "tcp,$(lab_address db 4),5432" "tcp,$(lab_address db 6),5432" \
        "tcp,$(lab_address web 4),8080"
    lab_prober lawful-udp web 2000 "udp,$(lab_address api 4),5353" "udp,$(lab_address api 6),5353"
    lab_hostile_begin
}

# lab_watch_check WHEN
lab_watch_check() {
    local name
    for name in tcp4 tcp6 udp4; do
        expect_equal "what happened to $name ($1)" "$(grep -v '^start' "$LAB/out/$name" || true)" ""
        kill -0 "${LAB_STREAM[$name]}"
    done
    for name in lawful lawful-udp; do
        expect_equal "refused of $name ($1)" "$(grep -v '^ok ' "$LAB/out/$name" || true)" ""
    done
    expect_equal "unlawful and answered ($1)" "$(grep '^ok ' "$LAB/out/hostile" || true)" ""
}

lab_watch_end() {
    local name
    lab_watch_check "at the end"
    for name in tcp4 tcp6 udp4; do
        lab_stream_stop "$name"
    done
    for name in "${!LAB_PROBER[@]}"; do
        [ -s "$LAB/out/$name" ] || lab_fail "$name has asked for nothing"
        lab_prober_stop "$name"
    done
}

# lab_daemon_dies POINT [OPTION...]: podfenced is started and killed at the fail point.
lab_daemon_dies() {
    local status=0 point=$1
    shift
    { # with the shell's own word on it
        FENCE_FAILPOINT=$point timeout 20 "$LAB_BIN/podfenced" --bpffs "$LAB_BPFFS" --socket "$LAB_SOCKET" \
            --objects "$LAB/objects" --state "$LAB_HOME/state" --node-name "lab-$LAB_NODE" "$@" || status=$?
    } 2>>"$LAB_HOME/daemon.log"
    expect_equal "exit status of podfenced at $point" "$status" 137
}
