#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# hostile-names.sh: names that would steer a terminal, end a string or a tag, or are as long as may be, by every door
# (the runtime's arguments, objects, names of files, the reason of a cut), through every output. What is
# refused is shown, too. Judged by hostile-names.py.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/lab.sh"
lab_enter "$@"

judge=$LAB_SOURCE/test/e2e/hostile-names.py
wrong=0

# judged FORMAT COMMAND...: what it prints, on standard error too, whatever its exit status.
judged() {
    local format=$1 out=$LAB/out/judged
    shift
    timeout 10 "$@" >"$out" 2>"$out.err" || true
    "$judge" "$format" "$out" || { echo "FAIL: $*" >&2; wrong=$((wrong + 1)); }
    "$judge" text "$out.err" || { echo "FAIL: standard error of $*" >&2; wrong=$((wrong + 1)); }
    outputs=$((outputs + 1))
    [ ! -s "$out" ] || spoken=$((spoken + 1))
}
outputs=0
spoken=0

# judged_ctl FORMAT ARGUMENT...: podfencectl (a function cannot be given to timeout)
ctl=("$LAB_BIN/podfencectl" --bpffs "$LAB_BPFFS" --socket "$LAB_SOCKET")
judged_ctl() {
    local format=$1
    shift
    judged "$format" "${ctl[@]}" "$@"
}
# every ARGUMENT...: in each format.
every() {
    judged_ctl text "$@"
    judged_ctl json "$@" -o json
    judged_ctl yaml "$@" -o yaml
}

lab_chain bridge
lab_object policies <"$LAB_SOURCE/test/e2e/data/shop.yaml"
"$judge" objects "$LAB/stage" # hostile objects and names of files
lab_swap
lab_daemon_start --event-log "$LAB/out/events.log" --audit-log "$LAB/out/audit.log" \
    --metrics 127.0.0.1:9464
lab_pods_add web api

lab_say "pods whose names the runtime says"
number=0 taken=0
"$judge" names >"$LAB/out/names" # one a line, as a quoted word of the shell
while read -r quoted; do
    number=$((number + 1))
    pod=h$number
    lab_pod_new "$pod"
    eval "name=$quoted"
    # shellcheck disable=SC2154 # by eval
    if lab_in node "$LAB_SOURCE/test/e2e/runtime.py" add --conf "$LAB/chain.conflist" --cache "$LAB/cache" \
        --cni-path "$LAB_CNI_DIR:$LAB_BIN" --id "${LAB_POD_ID[$pod]}" --netns "/run/netns/$pod" \
        --pod "shop/$name" --uid "${LAB_POD_UID[$pod]}" >"$LAB/out/$pod" 2>"$LAB/out/$pod.err"; then
        taken=$((taken + 1))
    fi
    "$judge" text "$LAB/out/$pod.err" || wrong=$((wrong + 1))
done <"$LAB/out/names"
expect_match "pods that were let in" "$taken" '^[1-9]'

lab_say "traffic of theirs, dropped and let through"
for ((i = 1; i <= number; i++)); do
    address=$(jq -r '[.ips[].address | select(contains(":") | not)][0] // "" | split("/")[0] // ""' "$LAB/out/h$i" 2>/dev/null || true)
    [ -n "$address" ] || continue
    LAB_TIMEOUT_MS=150 lab_try "h$i" "tcp,${LAB_POD_IP4[web]},8080" "tcp,${LAB_POD_IP4[api]},8080" >/dev/null &
    LAB_TIMEOUT_MS=150 lab_try web "tcp,$address,8080" >/dev/null &
done
sleep 0.7

lab_say "$number names, by every output"
reason=$("$judge" reason)
lab_ctl cut app=api --for 30s --reason "$reason" >"$LAB/out/cut" 2>&1 || true
"$judge" text "$LAB/out/cut" || wrong=$((wrong + 1))
for command in status endpoints identities policies connections top "cut list" alarms "diff --live"; do
    read -ra words <<<"$command"
    every "${words[@]}"
done
judged_ctl text observe --last 500
judged_ctl json observe --last 500 -o json
judged_ctl yaml learn
judged_ctl json learn -o json
judged_ctl xml graph -o svg
judged_ctl html graph -o html
judged_ctl text graph -o dot
judged_ctl text graph -o mermaid
judged_ctl json graph -o json
judged_ctl text validate "$LAB/stage"
judged_ctl json validate "$LAB/stage" -o json
judged_ctl text trace --from "shop/$(printf '\033[2J')" --to "$(printf '\302\233x')" --port 80
judged_ctl text "$(printf '\033]0;x\007')"
judged_ctl text audit verify "$LAB/out/audit.log"
judged_ctl text audit report "$LAB/out/audit.log"
judged_ctl json audit report "$LAB/out/audit.log" -o json
judged text busybox wget -qO- http://127.0.0.1:9464/metrics
promtool check metrics <"$LAB/out/judged" >"$LAB/out/promtool" 2>&1 || lab_fail "promtool: $(head -n 5 "$LAB/out/promtool")"
judged json cat "$LAB/out/events.log"
judged json cat "$LAB/out/audit.log"
judged text cat "$LAB/daemon.log"
[ "$wrong" -eq 0 ] || lab_fail "$wrong of $outputs outputs are not as they should be"
lab_say "$outputs outputs, $spoken of them with something to say"
[ "$spoken" -ge $((outputs * 2 / 3)) ] || lab_fail "only $spoken of $outputs outputs said anything"
lab_end
