# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Services: their addresses and their objects. How they are served is lab-proxy.sh's.
#
#   lab_services <<< "NAME PROTO PORT TARGET NODEPORT TRAFFIC POD..."
#                                      NODEPORT - : only a ClusterIP; TRAFFIC: Cluster or Local
#   lab_service_objects                their objects, for lab_publish
#
# A service has a ClusterIP and, with a NodePort, an external IP and a load balancer's address, each
# in both families: lab_address knows them as NAME.cluster, NAME.external and NAME.balancer.

declare -a LAB_SERVICES=()

lab_services() {
    mapfile -t LAB_SERVICES < <(grep -v '^#')
}

# lab_service_address NAME.KIND FAMILY
lab_service_address() {
    local i name=${1%.*} number=
    for i in "${!LAB_SERVICES[@]}"; do
        [ "${LAB_SERVICES[i]%% *}" != "$name" ] || number=$((i + 10))
    done
    [ -n "$number" ] || lab_fail "no service $name"
    case ${1##*.}/$2 in
        cluster/4) echo "10.96.0.$number" ;;
        cluster/6) echo "fd00:96::$number" ;;
        external/4) echo "203.0.113.$number" ;;
        external/6) echo "2001:db8:113::$number" ;;
        balancer/4) echo "198.51.100.$number" ;;
        balancer/6) echo "2001:db8:100::$number" ;;
        *) lab_fail "$1 is no address of a service" ;;
    esac
}

# lab_service_objects: the Service and its EndpointSlices, one a family, as the API server holds them.
lab_service_objects() {
    local service family
    for service in "${LAB_SERVICES[@]}"; do
        # shellcheck disable=SC2086 # a list
        {
            lab_service_object $service
            for family in 4 6; do
                lab_slice_object "$family" $service
            done
        } | lab_object "service-${service%% *}"
    done
}

lab_service_object() {
    local id=$1 proto=${2^^} port=$3 target=$4 nodeport=$5 traffic=$6 type=ClusterIP
    [ "$nodeport" = - ] || type=LoadBalancer
    cat <<YAML
---
apiVersion: v1
kind: Service
metadata: { name: $id, namespace: $LAB_NAMESPACE }
spec:
  type: $type
  ipFamilyPolicy: RequireDualStack
  ipFamilies: [ IPv4, IPv6 ]
  clusterIP: $(lab_service_address "$id.cluster" 4)
  clusterIPs: [ $(lab_service_address "$id.cluster" 4), "$(lab_service_address "$id.cluster" 6)" ]
YAML
    if [ "$nodeport" = - ]; then
        echo "  ports: [ { name: p, protocol: $proto, port: $port, targetPort: $target } ]"
        return
    fi
    cat <<YAML
  ports: [ { name: p, protocol: $proto, port: $port, targetPort: $target, nodePort: $nodeport } ]
  externalTrafficPolicy: $traffic
  externalIPs: [ $(lab_service_address "$id.external" 4), "$(lab_service_address "$id.external" 6)" ]
status:
  loadBalancer:
    ingress: [ { ip: $(lab_service_address "$id.balancer" 4) }, { ip: "$(lab_service_address "$id.balancer" 6)" } ]
YAML
}

lab_slice_object() {
    local family=$1 id=$2 proto=${3^^} target=$5 pod
    shift 7
    cat <<YAML
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: $id-$family, namespace: $LAB_NAMESPACE, labels: { kubernetes.io/service-name: $id } }
addressType: IPv$family
ports: [ { name: p, protocol: $proto, port: $target } ]
endpoints:
YAML
    for pod in "$@"; do
        cat <<YAML
- addresses: [ "$(lab_address "$pod" "$family")" ]
  conditions: { ready: true, serving: true, terminating: false }
YAML
        # somebody outside is no pod
        [ -z "${LAB_POD_NODE[$pod]:-}" ] || cat <<YAML
  nodeName: lab-${LAB_POD_NODE[$pod]}
  targetRef: { kind: Pod, namespace: $LAB_NAMESPACE, name: $pod }
YAML
    done
}
