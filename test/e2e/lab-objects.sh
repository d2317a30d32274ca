# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The objects folder, shaped as the kubelet shapes a ConfigMap volume: the data in a hidden folder,
# ..data a link to it that is swapped as one, and a link a file.

LAB_MARK=0

# lab_object NAME <<< YAML: put a file on stage; nothing is seen before lab_publish.
lab_object() {
    cat >"$LAB/stage/$1.yaml"
}

lab_object_remove() {
    rm -f "$LAB/stage/$1.yaml"
}

# Swap the stage in, without waiting.
lab_swap() {
    local folder=$LAB/objects version file old
    mkdir -p "$folder"
    version=..$(date +%s.%N)
    cp -r "$LAB/stage" "$folder/$version"
    old=$(readlink "$folder/..data" || true)
    ln -s "$version" "$folder/..data_tmp"
    mv -T "$folder/..data_tmp" "$folder/..data"
    for file in "$LAB"/stage/*; do
        [ -L "$folder/${file##*/}" ] || ln -s "..data/${file##*/}" "$folder/${file##*/}"
    done
    for file in "$folder"/*; do
        [ -e "$file" ] || rm -f "$file"
    done
    [ -z "$old" ] || rm -rf "${folder:?}/$old"
}

# Swap the stage in and wait until it is in force: a policy that matters to nobody goes along, and
# the daemon lists it when it has taken in the folder.
lab_publish() {
    LAB_MARK=$((LAB_MARK + 1))
    lab_object mark <<YAML
apiVersion: podfence.io/v1alpha1
kind: SegmentPolicy
metadata: { name: mark-$LAB_MARK, namespace: lab-mark }
spec: { mode: Allowlist, enforcement: Audit, appliesTo: { podSelector: {} }, ingress: [] }
YAML
    lab_swap
    local node
    for node in "${!LAB_DAEMONS[@]}"; do
        lab_on "$node" eventually "podfenced has taken in the objects" 10 lab_published
    done
}

lab_published() {
    lab_has "lab-mark/mark-$LAB_MARK\"" policies -o json
}

# lab_pod_object NAME [LABEL=VALUE...]: what the API server would hold.
lab_pod_object() {
    local name=$1 pair
    shift
    {
        printf 'apiVersion: v1\nkind: Pod\nmetadata:\n  name: %s\n  namespace: %s\n  uid: %s\n' \
            "$name" "$LAB_NAMESPACE" "${LAB_POD_UID[$name]}"
        if [ $# -gt 0 ]; then
            printf '  labels:\n'
            for pair in "$@"; do
                printf '    %s: "%s"\n' "${pair%%=*}" "${pair#*=}"
            done
        fi
        printf 'spec:\n  nodeName: lab-%s\n  containers:\n  - name: c\n    ports:\n' "${LAB_POD_NODE[$name]}"
        printf '    - { name: http, containerPort: 8080, protocol: TCP }\n'
        # for the other nodes; kubelet reports it after ADD
        [ -z "${LAB_POD_IP4[$name]:-}" ] || printf 'status:\n  podIPs: [ { ip: %s }, { ip: "%s" } ]\n' \
            "${LAB_POD_IP4[$name]}" "${LAB_POD_IP6[$name]}"
    } | lab_object "pod-$name"
}
