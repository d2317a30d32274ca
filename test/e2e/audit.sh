#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The audit log with real connections and changes of policy: written, gone on with after SIGKILL, on a disk
# that is full, verified, and found when it was tampered with. And the report from it.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/lab.sh"
lab_enter "$@"

LOG=$LAB/audit/audit.log
KEY=$LAB/audit.key

# audited TYPE [JQ CONDITION]: records of this type in the present file
audited() {
    jq -c "select(.type == \"$1\" and (${2:-true}))" "$LOG" 2>/dev/null
}

has_audited() {
    [ -n "$(audited "$@")" ]
}

verify() {
    lab_ctl audit verify --key "$KEY" -o json "$@"
}

policy() {
    lab_object db <<YAML
apiVersion: podfence.io/v1alpha1
kind: SegmentPolicy
metadata: { name: db, namespace: shop }
spec:
  mode: Allowlist
  appliesTo: { podSelector: { matchLabels: { app: db } } }
  ingress: $1
YAML
}

log_grows() {
    [ "$(lab_status .daemon.status.audit.problem)" != '""' ]
}

mkdir "$LAB/audit"
mount -t tmpfs -o size=2m audit "$LAB/audit"
(umask 077 && head -c 32 /dev/urandom >"$KEY")
lab_chain bridge
policy '[ { from: [ { podSelector: { matchLabels: { app: api } } } ], ports: [ { port: 5432 } ] } ]'
lab_swap
lab_daemon_start --audit-log "$LOG" --audit-key "$KEY"
lab_pods_add web api db

lab_say "connections"
lab_expect <<'TABLE'
web > db tcp 5432 deny
api > db tcp 5432 ok
TABLE
eventually "the allowed connection is there" 5 has_audited connection \
    '.verdict == "FORWARDED" and .direction == "INGRESS" and .source.app == "api" and .destination.app == "db" and .port == 5432
     and .policy == "SegmentPolicy/shop/db" and .rule == 0'
eventually "the blocked one" 5 has_audited connection \
    '.verdict == "DROPPED" and .source.pod == "web" and .destination.namespace == "shop" and .reason == "no-rule"'

lab_say "policy: present, changed, refused, added, removed"
has_audited policy '.change == "present" and .policy == "SegmentPolicy/shop/db" and (.file | endswith("db.yaml"))' ||
    lab_fail "the policy at the start: $(audited policy)"
policy '[ { from: [ { podSelector: { matchLabels: { app: web } } } ], ports: [ { port: 5432 } ] } ]'
lab_publish
has_audited policy '.change == "changed" and .parts == ["ingress[0]"] and .before != .after' ||
    lab_fail "the change: $(audited policy)"
policy '[ { from: [ { nonsense: {} } ] } ]'
lab_swap
eventually "the refusal" 5 has_audited refused '.object == "SegmentPolicy/shop/db" and .lastGoodInForce'
lab_object_remove db
lab_publish
eventually "the removal" 5 has_audited policy '.change == "removed" and (.file | endswith("db.yaml")) and (.before | length) == 64'
has_audited refusal-over '.object == "SegmentPolicy/shop/db"' || lab_fail "the refusal is not over"

lab_say "killed, with a torn line, and started again"
lab_daemon_kill
printf '{"seq":99,"time":"2026-' >>"$LOG"
policy '[ ]'
lab_swap
lab_daemon_start --audit-log "$LOG" --audit-key "$KEY"
verify "$LOG" >"$LAB/out/verify" || lab_fail "verify: $(cat "$LAB/out/verify")"
expect_equal "torn, unclean" "$(jq -c '[.intact, .torn, .uncleanStarts]' "$LAB/out/verify")" "[true,1,1]"
expect_equal "the report's connections of db" \
    "$(lab_ctl audit report --key "$KEY" --from 1h --app shop/db -o json "$LOG" |
        jq -c '[.connections[] | select(.service == "5432/TCP") | [.source, .blocked > 0]]')" \
    '[["shop/api",false],["shop/web",true]]'
lab_ctl audit report --key "$KEY" "$LOG" >"$LAB/out/report"
expect_match "the report as text" "$(cat "$LAB/out/report")" "policy changed SegmentPolicy/shop/db: ingress\[0\]"

lab_say "a full disk"
dd if=/dev/zero of="$LAB/audit/filler" bs=4k 2>/dev/null || true
for ((i = 0; i < 8; i++)); do
    policy "[ { ports: [ { port: $((5000 + i)) } ] } ]"
    lab_publish
done
eventually "the trouble is in the status" 5 log_grows
lab_expect <<'TABLE'
web > db tcp 5432 deny
TABLE
expect_equal "times that it was said" "$(grep -c 'audit log .*No space left' "$LAB/daemon.log")" 1
rm "$LAB/audit/filler"
policy '[ ]'
lab_publish
eventually "written again" 5 has_audited policy '.change == "changed" and .parts == ["ingress: 1 to 0 rules"]'
verify "$LOG" >"$LAB/out/verify" || lab_fail "verify: $(cat "$LAB/out/verify")"

lab_say "tampering"
lab_daemon_stop
expect_equal "the last record" "$(tail -n 1 "$LOG" | jq -r .type)" stop
line=$(grep -n -m 1 '"change":"changed","policy":"SegmentPolicy/shop/db"' "$LOG" | cut -d: -f1)
sed "${line}s/shop/ship/" "$LOG" >"$LAB/changed"
sed "${line}d" "$LOG" >"$LAB/shorter"
for file in changed shorter; do
    ! verify "$LAB/$file" >"$LAB/out/verify" || lab_fail "$file: not noticed"
    expect_equal "$file: line and kind" "$(jq -r '"\(.break.line) \(.break.kind)"' "$LAB/out/verify")" \
        "$line $([ "$file" = changed ] && echo changed || echo missing)"
done
! lab_ctl audit verify "$LOG" >"$LAB/out/verify" 2>&1 || lab_fail "verified without the key"
expect_match "without the key" "$(cat "$LAB/out/verify")" "give --key"
lab_daemon_start
for pod in web api db; do
    lab_pod_del "$pod"
done
umount "$LAB/audit"
lab_end
