/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decoders of this folder, one file a kind. Each takes the place of a part of the object and
 * fills a zeroed struct of the model; on failure it may be half filled, and the caller frees it
 * with the object it belongs to.
 */
#pragma once

#include "lib/objects/decode.h"
#include "lib/objects/field.h"

/* The options in force (fence_decode_set_options). */
const struct fence_decode_options *fence_decode_options(void);

/* DNS-1123 of Kubernetes: labels joined by dots (253 characters), one label (63). */
bool fence_name_is_subdomain(const char *name);
bool fence_name_is_label(const char *name);
/* IANA_SVC_NAME: 1 to 15 of a-z, 0-9 and '-', with a letter. */
bool fence_name_is_port(const char *name);

/* `field` is the whole object. Its kind, namespace, name are set already. */
int fence_decode_pod(const struct fence_field *field, struct fence_object *object,
                     struct fence_err *err);
int fence_decode_node(const struct fence_field *field, struct fence_object *object,
                      struct fence_err *err);
int fence_decode_namespace(const struct fence_field *field, struct fence_object *object,
                           struct fence_err *err);
int fence_decode_service(const struct fence_field *field, struct fence_object *object,
                         struct fence_err *err);
int fence_decode_endpoint_slice(const struct fence_field *field, struct fence_object *object,
                                struct fence_err *err);
int fence_decode_network_policy(const struct fence_field *field, struct fence_object *object,
                                struct fence_err *err);
int fence_decode_cluster_network_policy(const struct fence_field *field,
                                        struct fence_object *object, struct fence_err *err);
int fence_decode_segment_policy(const struct fence_field *field, struct fence_object *object,
                                struct fence_err *err);

/* ---- addresses ------------------------------------------------------------------------------ */

/* One that `what` ("a pod") can have; it must be there. */
int fence_decode_address(const struct fence_field *field, const char *what,
                         struct fence_addr *ret_addr, struct fence_err *err);
/* The same into a list, once. */
int fence_decode_address_into(const struct fence_field *field, const char *what,
                              struct fence_addr_list *addrs, struct fence_err *err);

/* Name of a port of a service or slice, shared; "" when absent. */
int fence_decode_port_label(const struct fence_field *field, const char **ret_name,
                            struct fence_err *err);

/* ---- parts of pods and nodes ---------------------------------------------------------------- */

/* A text that may be absent and then counts as "", shared. */
int fence_decode_shared_string(const struct fence_field *field, const char **ret_text,
                               struct fence_err *err);
/* One that the pod has, once. */
int fence_decode_pod_address(const struct fence_field *field, struct fence_pod *pod,
                             struct fence_err *err);

/* Ports on their way into a pod; names are the document's. Zeroed = none. */
struct fence_port_list {
    struct fence_container_port *items;
    size_t count;
    size_t capacity;
    struct fence_host_port *host_items;
    size_t host_count;
    size_t host_capacity;
    bool lenient; /* a hostIP that is no address opens no port: the API server takes any text */
};
void fence_port_list_done(struct fence_port_list *list);
/* One whose number is its member `key`, into the list where it has a name, a port of the host, or
 * both. */
int fence_decode_pod_port(const struct fence_field *field, const char *key,
                          struct fence_port_list *list, struct fence_err *err);

/* A range that the node's pods have their addresses from. */
int fence_decode_pod_prefix(const struct fence_field *field, struct fence_node *node,
                            struct fence_err *err);

/* ---- parts of policies ---------------------------------------------------------------------- */

int fence_decode_selector(const struct fence_field *field, struct fence_selector *selector,
                          struct fence_err *err);
/* A new selector in *ret_selector. */
int fence_decode_new_selector(const struct fence_field *field, struct fence_selector **ret_selector,
                              struct fence_err *err);
/* An address range; host bits are cleared with a warning. */
int fence_decode_prefix(const struct fence_field *field, struct fence_prefix *ret_prefix,
                        struct fence_err *err);
/* "TCP", "UDP", "SCTP" and, with `icmp`, "ICMP" and "ICMPv6". Absent = TCP. */
int fence_decode_protocol(const struct fence_field *field, bool icmp, unsigned int *ret_protocol,
                          struct fence_err *err);
int fence_decode_port_number(const struct fence_field *field, uint16_t *ret_port,
                             struct fence_err *err);
/* The same, where 0 and nothing stand for none. */
int fence_decode_optional_port(const struct fence_field *field, uint16_t *ret_port,
                               struct fence_err *err);

/* How the rules of NetworkPolicy's vocabulary differ between the kinds that use it. */
struct fence_rule_style {
    enum fence_action action;
    bool icmp;    /* ICMP and ICMPv6 with type and code are known */
    bool cluster; /* the policy has no namespace of its own */
    bool legacy;  /* address ranges are read as fence_prefix_parse_legacy does, with a warning */
};

extern const char *const fence_direction_keys[FENCE_DIRECTIONS]; /* members of spec */

/* All rules of `spec` in both directions into `policy`. */
int fence_decode_rules(const struct fence_field *spec, const struct fence_rule_style *style,
                       struct fence_policy *policy, struct fence_err *err);
/* policyTypes of `spec` into `listed`; *ret_given is false when absent or empty. */
int fence_decode_policy_types(const struct fence_field *spec, bool listed[FENCE_DIRECTIONS],
                              bool *ret_given, struct fence_err *err);
/* The annotation podfence.io/enforcement, where the user allows it. */
int fence_decode_enforcement_annotation(const struct fence_field *field,
                                        struct fence_policy *policy, struct fence_err *err);
