# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The shop: eight services in three namespaces, who lawfully talks to whom, and what somebody might try.
# Sourced after lab.sh, by tests and by scripts/demo.sh.
#
#   lab_shop_add              the eight pods, named as their service; all serve all of LAB_SHOP_PORTS
#   lab_shop_lawful [WHAT]    the table of lawful connections, for lab_expect; WHAT: ok (default) or deny
#   lab_shop_unlawful [WHAT]  what the shop has no use for: deny (default) or ok
#   lab_shop_traffic          the lawful connections once, over IPv4 and IPv6; fails unless all get through
#   lab_shop_wanders [WHAT]   the unlawful ones: fails unless all are denied (ok: get through)
#
#   namespace  services              takes connections from
#   shop       web                   (nobody inside)
#              cart                  web
#              catalog               web, cart
#   billing    orders                cart
#              payments              orders
#              mail                  orders, payments
#   data       db                    catalog, orders, payments
#              cache                 cart (TCP and UDP), catalog

declare -A LAB_SHOP=([web]=shop [cart]=shop [catalog]=shop [orders]=billing [payments]=billing
    [mail]=billing [db]=data [cache]=data)
LAB_SHOP_ORDER=(web cart catalog orders payments mail db cache)
LAB_SHOP_PORTS=(tcp:25 tcp:5432 tcp:6379 tcp:8080 tcp:8443 udp:514 udp:11211)

lab_shop_namespaces() {
    local namespace
    for namespace in shop billing data; do
        printf -- '---\napiVersion: v1\nkind: Namespace\nmetadata: { name: %s, labels: { part: %s } }\n' \
            "$namespace" "$namespace"
    done
}

lab_shop_add() {
    local pod
    # shellcheck disable=SC2034 # lab_pod_serve's
    local -a LAB_PORTS=("${LAB_SHOP_PORTS[@]}")
    lab_shop_namespaces | lab_object shop-namespaces
    for pod in "${LAB_SHOP_ORDER[@]}"; do
        lab_pod_new "$pod"
        LAB_NAMESPACE=${LAB_SHOP[$pod]} lab_pod_object "$pod" "app=$pod" "pod-template-hash=5d4f8c7b96"
    done
    lab_publish
    for pod in "${LAB_SHOP_ORDER[@]}"; do
        LAB_NAMESPACE=${LAB_SHOP[$pod]} lab_pod_attach "$pod" || lab_fail "ADD of $pod: $(cat "$LAB/out/$pod")"
        lab_pod_serve "$pod"
    done
    lab_outside_ready
}

lab_shop_lawful() {
    sed "s/\$/ ${1:-ok}/" <<'TABLE'
web > cart tcp 8080
web > catalog tcp 8080
cart > catalog tcp 8080
cart > cache tcp 6379
cart > cache udp 11211
cart > orders tcp 8080
catalog > db tcp 5432
catalog > cache tcp 6379
orders > db tcp 5432
orders > payments tcp 8443
orders > mail tcp 25
payments > db tcp 5432
payments > mail tcp 25
payments > mail udp 514
TABLE
}

lab_shop_unlawful() {
    sed "s/\$/ ${1:-deny}/" <<'TABLE'
web > db tcp 5432
web > payments tcp 8443
cart > db tcp 5432
catalog > payments tcp 8443
mail > db tcp 5432
mail > payments tcp 8443
cache > db tcp 5432
orders > db tcp 8080
payments > cache udp 11211
db > web tcp 8080
TABLE
}

lab_shop_traffic() {
    lab_expect < <(lab_shop_lawful ok)
}

lab_shop_wanders() {
    lab_expect < <(lab_shop_unlawful "${1:-deny}")
}
