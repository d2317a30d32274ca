#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The examples of conf/ are what they promise: podfence takes its entry without a word, and the
# policies are valid and do something.
# shellcheck source=test/e2e/lab.sh
source "$(dirname "$0")/lab.sh"
lab_enter "$@"

lab_swap
lab_daemon_start
for example in "$LAB_SOURCE"/conf/*.conflist; do
    lab_say "${example##*/}"
    expect_equal "last plugin" "$(jq -r '.plugins[-1].type' "$example")" podfence
    expect_equal "plugins before" "$(jq '.plugins | length > 1' "$example")" true
    lab_chain bridge "$(jq '.plugins[-1]' "$example")"
    lab_pods_add web
    expect_equal "warnings of ADD" "$(cat "$LAB/out/web.err")" ""
    lab_pod_del web
done

lab_say "policies-configmap.yaml"
lab_ctl validate "$LAB_SOURCE/conf/policies-configmap.yaml"
lab_chain bridge
lab_object policies <"$LAB_SOURCE/conf/policies-configmap.yaml"
lab_pods_add web api db intruder
lab_expect <<'TABLE'
intruder > web tcp 8080 ok
intruder > web tcp 80 deny
api > db tcp 5432 ok
api > db icmp 0 ok
api > db tcp 80 deny
intruder > db tcp 5432 deny
db > outside icmp 0 deny
web > outside icmp 0 ok
TABLE
lab_end
