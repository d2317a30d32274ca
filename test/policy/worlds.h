/* SPDX-License-Identifier: Apache-2.0 */
/* Objects as text, and plans of them; for cmocka tests. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/memory.h"
#include "test/policy/lab.h"

#define NAMESPACE(name, labels)                                                                    \
    "---\napiVersion: v1\nkind: Namespace\nmetadata: { name: " name ", labels: {" labels "} }\n"
#define POD_X(namespace, name, labels, ip, metadata, spec, status)                                 \
    "---\napiVersion: v1\nkind: Pod\n"                                                             \
    "metadata: { name: " name ", namespace: " namespace ", labels: {" labels "}" metadata " }\n"   \
                                                        "spec: { containers: []" spec " }\n"       \
                                                        "status: { podIPs: [ { ip: " ip            \
                                                        " } ]" status " }\n"
#define POD(namespace, name, labels, ip) POD_X(namespace, name, labels, ip, "", "", "")
#define POLICY(kind, namespace, name, spec)                                                        \
    "---\napiVersion: podfence.io/v1alpha1\nkind: " kind "\n"                                      \
    "metadata: { name: " name ", namespace: " namespace " }\nspec: " spec "\n"
#define SEGMENT(namespace, name, spec) POLICY("SegmentPolicy", namespace, name, spec)

static inline void load(struct lab *lab, const char *text)
{
    struct fence_err err = {0};

    if (lab_load(lab, text, &err) < 0)
        fail_msg("%s", err.text);
}

static inline struct fence_plan *compile(const struct lab *lab)
{
    struct fence_plan *plan = NULL;
    struct fence_err err = {0};
    const char *wrong;

    if (fence_compile(&lab->world, &plan, &err) < 0)
        fail_msg("%s", err.text);
    wrong = plan_check(plan);
    if (wrong)
        fail_msg("%s", wrong);
    return plan;
}

static inline struct fence_addr addr_of(const char *text)
{
    struct fence_addr addr;

    assert_int_equal(fence_addr_parse(text, &addr), 0);
    return addr;
}

static inline const struct fence_plan_peer *peer_at(const struct fence_plan *plan, const char *text)
{
    struct fence_addr addr = addr_of(text);

    return &plan->peers[plan_peer_of(plan, &addr)];
}

static inline const struct fence_plan_identity *identity_at(const struct fence_plan *plan,
                                                            const char *text)
{
    return &plan->identities[peer_at(plan, text)->identity];
}
