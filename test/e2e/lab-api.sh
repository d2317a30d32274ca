# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# An API server (test/kube/server) in the lab's node; sourced after lab.sh. The lab's stage goes to
# the API: lab_publish and all that calls it do so, too.
#
#   api_start VERSION                  it serves; its folder is $api, its process $api_pid
#   api VERB ARGUMENT...               apiserver.py

api=$LAB/api

api() {
    "$LAB_SOURCE/test/e2e/apiserver.py" "$1" "$api" "${@:2}"
}

# api_start VERSION: with what was there. Its first resourceVersion: no server goes back.
api_start() {
    lab_background node apiserver "$LAB_TOOLS/test-apiserver" --folder "$api" --listen 127.0.0.1:6443 --version "$1"
    # shellcheck disable=SC2034 # the tests' own
    api_pid=$LAB_PID
    eventually "the API server serves" 20 test -s "$api/control"
}

lab_swap() {
    api sync "$LAB/stage"
}
