/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/audit/policy.h"

#include <stdio.h>
#include <string.h>

#include <nettle/sha2.h>

/* Every text goes in with its length and every list with its count, so that no two policies have
 * the same bytes. */
struct digest {
    struct sha256_ctx sha;
};

struct sum {
    uint8_t bytes[SHA256_DIGEST_SIZE];
};

static void add_number(struct digest *digest, int64_t number)
{
    uint8_t bytes[8];

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)((uint64_t)number >> 8 * i);
    sha256_update(&digest->sha, sizeof(bytes), bytes);
}

static void add_text(struct digest *digest, const char *text)
{
    size_t size = text ? strlen(text) : 0;

    add_number(digest, text ? (int64_t)size : -1);
    sha256_update(&digest->sha, size, (const uint8_t *)text);
}

static void add_prefix(struct digest *digest, const struct fence_prefix *prefix)
{
    char text[FENCE_PREFIX_TEXT];

    add_text(digest, fence_prefix_format(prefix, text));
}

static void add_selector(struct digest *digest, const struct fence_selector *selector)
{
    add_number(digest, selector ? (int64_t)selector->count : -1);
    for (uint32_t i = 0; selector && i < selector->count; i++) {
        const struct fence_requirement *item = &selector->items[i];

        add_text(digest, item->key);
        add_number(digest, item->op);
        add_number(digest, item->value_count);
        for (uint32_t value = 0; value < item->value_count; value++)
            add_text(digest, item->values[value]);
    }
}

static void add_block(struct digest *digest, const struct fence_ip_block *block)
{
    add_number(digest, block ? (int64_t)block->except_count : -1);
    if (!block)
        return;
    add_prefix(digest, &block->cidr);
    for (uint32_t i = 0; i < block->except_count; i++)
        add_prefix(digest, &block->except[i]);
}

static void add_rule(struct digest *digest, const struct fence_rule *rule)
{
    add_number(digest, rule->action);
    add_number(digest, rule->any_peer ? -1 : (int64_t)rule->peer_count);
    for (uint32_t i = 0; i < rule->peer_count; i++) {
        add_selector(digest, rule->peers[i].namespaces);
        add_selector(digest, rule->peers[i].pods);
        add_selector(digest, rule->peers[i].nodes);
        add_block(digest, rule->peers[i].block);
        add_number(digest, rule->peers[i].unknown);
    }
    add_number(digest, rule->any_port ? -1 : (int64_t)rule->port_count);
    for (uint32_t i = 0; i < rule->port_count; i++) {
        add_number(digest, rule->ports[i].protocol);
        add_text(digest, rule->ports[i].name);
        /* of a named port they mean nothing */
        add_number(digest, rule->ports[i].name ? 0 : rule->ports[i].first);
        add_number(digest, rule->ports[i].name ? 0 : rule->ports[i].last);
    }
}

static void add_subjects(struct digest *digest, const struct fence_policy *policy)
{
    add_selector(digest, &policy->namespaces);
    add_selector(digest, &policy->pods);
}

static void add_types(struct digest *digest, const struct fence_policy *policy)
{
    for (size_t direction = 0; direction < FENCE_DIRECTIONS; direction++) {
        add_number(digest, policy->applies[direction]);
        add_number(digest, policy->isolates[direction]);
    }
}

static void add_policy(struct digest *digest, const struct fence_object *object)
{
    const struct fence_policy *policy = &object->policy;

    add_text(digest, fence_kind_name(object->kind));
    add_text(digest, object->namespace_name);
    add_text(digest, object->name);
    add_number(digest, policy->tier);
    add_number(digest, policy->priority);
    add_number(digest, policy->audit);
    add_number(digest, policy->expires_at);
    add_types(digest, policy);
    add_subjects(digest, policy);
    for (size_t direction = 0; direction < FENCE_DIRECTIONS; direction++) {
        add_number(digest, policy->rule_count[direction]);
        for (uint32_t i = 0; i < policy->rule_count[direction]; i++)
            add_rule(digest, &policy->rules[direction][i]);
    }
}

void fence_audit_policy_hash(const struct fence_object *policy,
                             char ret_hash[FENCE_AUDIT_HASH_TEXT])
{
    struct digest digest;
    struct sum sum;

    sha256_init(&digest.sha);
    add_policy(&digest, policy);
    sha256_digest(&digest.sha, sizeof(sum.bytes), sum.bytes);
    for (size_t i = 0; i < sizeof(sum.bytes); i++)
        snprintf(ret_hash + 2 * i, 3, "%02x", sum.bytes[i]);
}

/* ---- what differs --------------------------------------------------------------------------- */

struct parts {
    void (*visit)(void *context, const char *name);
    void *context;
    unsigned int count;
};

static void name_part(struct parts *parts, const char *name)
{
    parts->count++;
    if (parts->count < FENCE_AUDIT_PARTS_MAX)
        parts->visit(parts->context, name);
    else if (parts->count == FENCE_AUDIT_PARTS_MAX)
        parts->visit(parts->context, "...");
}

static bool same_policy_part(const struct fence_policy *a, const struct fence_policy *b,
                             void (*add)(struct digest *digest, const struct fence_policy *policy))
{
    struct digest one, other;
    struct sum one_sum, other_sum;

    sha256_init(&one.sha);
    sha256_init(&other.sha);
    add(&one, a);
    add(&other, b);
    sha256_digest(&one.sha, sizeof(one_sum.bytes), one_sum.bytes);
    sha256_digest(&other.sha, sizeof(other_sum.bytes), other_sum.bytes);
    return memcmp(&one_sum, &other_sum, sizeof(one_sum)) == 0;
}

static bool same_rule(const struct fence_rule *a, const struct fence_rule *b)
{
    struct digest one, other;
    struct sum one_sum, other_sum;

    sha256_init(&one.sha);
    sha256_init(&other.sha);
    add_rule(&one, a);
    add_rule(&other, b);
    sha256_digest(&one.sha, sizeof(one_sum.bytes), one_sum.bytes);
    sha256_digest(&other.sha, sizeof(other_sum.bytes), other_sum.bytes);
    return memcmp(&one_sum, &other_sum, sizeof(one_sum)) == 0;
}

static void compare_rules(struct parts *parts, const struct fence_policy *a,
                          const struct fence_policy *b, size_t direction)
{
    const char *word = direction == FENCE_INGRESS ? "ingress" : "egress";
    const uint32_t before = a->rule_count[direction], after = b->rule_count[direction];
    char name[64];

    for (uint32_t i = 0; i < before && i < after; i++) {
        if (same_rule(&a->rules[direction][i], &b->rules[direction][i]))
            continue;
        snprintf(name, sizeof(name), "%s[%u]", word, i);
        name_part(parts, name);
    }
    if (before != after) {
        snprintf(name, sizeof(name), "%s: %u to %u rules", word, before, after);
        name_part(parts, name);
    }
}

void fence_audit_policy_difference(const struct fence_object *before,
                                   const struct fence_object *after,
                                   void (*part)(void *context, const char *name), void *context)
{
    const struct fence_policy *a = &before->policy, *b = &after->policy;
    struct parts parts = {.visit = part, .context = context};

    if (a->tier != b->tier)
        name_part(&parts, "mode");
    if (a->priority != b->priority)
        name_part(&parts, "priority");
    if (a->audit != b->audit)
        name_part(&parts, "enforcement");
    if (a->expires_at != b->expires_at)
        name_part(&parts, "expiresAt");
    if (!same_policy_part(a, b, add_types))
        name_part(&parts, "policyTypes");
    if (!same_policy_part(a, b, add_subjects))
        name_part(&parts, "appliesTo");
    compare_rules(&parts, a, b, FENCE_INGRESS);
    compare_rules(&parts, a, b, FENCE_EGRESS);
}
