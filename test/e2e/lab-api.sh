# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# An API server (test/kube/server) in the lab's node; sourced after lab.sh. The lab's stage goes to
# the API: lab_publish and all that calls it do so, too.
#
#   api_start VERSION                  it serves; its folder is $api, its process $api_pid
#   api_http2                          and by HTTP/2, as a real one: $api/kubeconfig-http2, process $proxy_pid
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

api_http2() {
    sed 's/:6443/:6444/' "$api/kubeconfig" >"$api/kubeconfig-http2"
    lab_background node nghttpx nghttpx --conf=/dev/null --single-process --frontend=127.0.0.1,6444 --insecure \
        --backend='127.0.0.1,6443;;tls;proto=http/1.1' --backend-read-timeout=600s --frontend-http2-read-timeout=600s \
        --stream-read-timeout=600s --accesslog-file=/dev/null --errorlog-file=/dev/null "$api/server.key" "$api/server.crt"
    # shellcheck disable=SC2034 # the tests' own
    proxy_pid=$LAB_PID
    eventually "nghttpx serves" 10 eval '</dev/tcp/127.0.0.1/6444'
}

lab_swap() {
    api sync "$LAB/stage"
}
