/* SPDX-License-Identifier: Apache-2.0 */
/* NetworkPolicy, networking.k8s.io/v1. */
#include "lib/objects/decoders.h"

int fence_decode_enforcement_annotation(const struct fence_field *field,
                                        struct fence_policy *policy, struct fence_err *err)
{
    static const char *const values[] = {"Enforce", "Audit", NULL};
    struct fence_field metadata = fence_field_get(field, "metadata");
    struct fence_field annotations = fence_field_get(&metadata, "annotations");
    struct fence_field value = fence_field_get(&annotations, "podfence.io/enforcement");
    unsigned int choice = 0;
    int r;

    if (!value.doc)
        return 0;
    if (!fence_decode_options()->audit_annotation) {
        fence_field_warn(&value, "ignored: podfenced was started without --audit-annotation");
        return 0;
    }
    r = fence_field_choice(&value, values, &choice, err);
    if (r == 0)
        policy->audit = choice == 1;
    return r;
}

/* Which directions it isolates: policyTypes, else Ingress, and Egress when it has such rules. */
static int set_directions(const struct fence_field *spec, struct fence_policy *policy,
                          struct fence_err *err)
{
    bool listed[FENCE_DIRECTIONS] = {false, false};
    bool given = false;
    int r = fence_decode_policy_types(spec, listed, &given, err);

    if (r < 0)
        return r;
    if (!given) {
        listed[FENCE_INGRESS] = true;
        listed[FENCE_EGRESS] = policy->rule_count[FENCE_EGRESS] > 0;
    }
    for (unsigned int direction = 0; direction < FENCE_DIRECTIONS; direction++) {
        struct fence_field rules = fence_field_get(spec, fence_direction_keys[direction]);

        policy->isolates[direction] = listed[direction];
        policy->applies[direction] = listed[direction];
        if (!listed[direction] && policy->rule_count[direction])
            fence_field_warn(&rules, "without effect, policyTypes does not list it");
    }
    return 0;
}

int fence_decode_network_policy(const struct fence_field *field, struct fence_object *object,
                                struct fence_err *err)
{
    static const char *const known[] = {"podSelector", "policyTypes", "ingress", "egress", NULL};
    static const struct fence_rule_style style = {.action = FENCE_ACTION_ALLOW, .legacy = true};
    struct fence_policy *policy = &object->policy;
    struct fence_field spec = fence_field_get(field, "spec");
    struct fence_field pods = fence_field_get(&spec, "podSelector");
    int r = fence_field_allow(&spec, FENCE_DOC_MAP, err);

    if (r < 0)
        return r;
    policy->tier = FENCE_TIER_ALLOWLIST;
    fence_field_warn_unknown(&spec, known);
    if (pods.doc)
        r = fence_decode_selector(&pods, &policy->pods, err);
    else
        fence_field_warn(&pods, "is missing: the policy selects every pod of its namespace");
    if (r == 0)
        r = fence_decode_rules(&spec, &style, policy, err);
    if (r == 0)
        r = set_directions(&spec, policy, err);
    return r < 0 ? r : fence_decode_enforcement_annotation(field, policy, err);
}
