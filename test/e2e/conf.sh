#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The examples of conf/ are what they promise: podfence takes its entry without a word, the policies
# are valid and do something, and the probes of the DaemonSet say how the daemon is.
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

lab_say "the examples as a ConfigMap, as install.yaml has them"
LAB_NAMESPACE=podfence-example
"${FENCE_KUBECTL:-/usr/local/src/podfence/kubernetes-client/usr/bin/kubectl}" create configmap examples --dry-run=client -o yaml \
    --from-file="$LAB_SOURCE/conf/base/examples" >"$LAB/examples.yaml"
lab_ctl validate "$LAB/examples.yaml"
lab_chain bridge
lab_object policies <"$LAB/examples.yaml"
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

lab_say "what the probes ask"
expect_equal "alive and ready" "$(lab_ctl status --alive 2>&1 && lab_ctl status --ready 2>&1)" ""
lab_object broken <<<"kind: Policy"
lab_swap
not_ready() {
    ! lab_ctl status --ready
}
eventually "a broken file is noticed" 10 not_ready
lab_ctl status --alive
expect_match "why it is not ready" "$(lab_ctl status --ready 2>&1 || true)" 'not ready: 1 object or file is refused'
lab_object_remove broken
lab_swap
eventually "it is ready again" 10 lab_ctl status --ready
lab_daemon_stop
expect_match "without a daemon" "$(lab_ctl status --alive 2>&1 || true)" 'the daemon is not running'
lab_daemon_start
lab_end
