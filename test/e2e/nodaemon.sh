#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Pods before the daemon has ever run: nothing is pinned, so ADD asks to come again; with
# failurePolicy open the pod starts and is recorded.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/lab.sh"
lab_enter "$@"

lab_chain bridge
lab_swap
lab_pod_new early

lab_say "closed: code 11, the chain is undone, the runtime tries again"
if lab_pod_attach early; then
    lab_fail "ADD without pinned programs succeeds"
fi
expect_equal "who refuses" "$(jq -r .plugin "$LAB/out/early")" podfence
expect_equal "code" "$(jq -r .error.code "$LAB/out/early")" 11
expect_match "text" "$(jq -r '.error.msg + " " + (.error.details // "")' "$LAB/out/early")" 'podfenced'
expect_equal "interfaces in the pod" "$(ip -n early -j link | jq 'length')" 1
expect_equal "addresses held" "$(find "$LAB/ipam" -name '10.*' -o -name 'fd00*' | wc -l)" 0
lab_cni del early >"$LAB/out/del" || lab_fail "DEL without pins: $(cat "$LAB/out/del")"

lab_say "STATUS: 50, an ADD would fail now"
jq '.cniVersion = "1.1.0"' "$LAB/chain.conflist" >"$LAB/new.conflist"
if out=$(lab_cni status early --only podfence --conf "$LAB/new.conflist"); then
    lab_fail "STATUS is content without pins"
fi
expect_equal "code of STATUS" "$(jq -r .error.code <<<"$out")" 50
lab_cni gc early --only podfence --conf "$LAB/new.conflist" --valid '' >"$LAB/out/gc" ||
    lab_fail "GC without pins: $(cat "$LAB/out/gc")"
if lab_ctl status >"$LAB/out/status" 2>&1; then
    lab_fail "podfencectl status is content without pins"
fi
expect_match "podfencectl without pins" "$(cat "$LAB/out/status")" 'podfenced'

lab_say "open: the pod starts, with a warning and a record"
lab_chain bridge '{"failurePolicy": "open"}'
lab_pod_attach early || lab_fail "ADD with failurePolicy open: $(cat "$LAB/out/early")"
lab_pod_serve early
expect_match "warning" "$(cat "$LAB/out/early.err")" 'early|unenforced|not enforced'
expect_equal "records" "$(find "$LAB/unenforced" -type f | wc -l)" 1
lab_expect <<'TABLE'
node > early tcp 80 ok
TABLE
lab_pod_del early
expect_equal "records after DEL" "$(find "$LAB/unenforced" -type f | wc -l)" 0

lab_say "the daemon comes: the same ADD succeeds and is enforced"
lab_chain bridge
lab_daemon_start
lab_object policies <<'YAML'
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: nothing, namespace: shop }
spec: { podSelector: {} }
YAML
lab_pods_add early
lab_expect <<'TABLE'
node > early tcp 80 ok
outside > early tcp 80 deny
early > outside icmp 0 ok
TABLE
lab_end
