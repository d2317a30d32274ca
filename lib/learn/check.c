/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/learn/check.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/base/names.h"
#include "lib/policy/lookup.h"

#define SHOWN_MAX 8u /* names or ranges in a text */

const char *fence_learn_finding_name(enum fence_learn_finding_kind kind)
{
    static const char *const names[] = {
        [FENCE_LEARN_UNSEEN] = "unseen",
        [FENCE_LEARN_UNUSED] = "unused",
        [FENCE_LEARN_WIDER] = "wider",
    };
    _Static_assert(FENCE_ARRAY_SIZE(names) == FENCE_LEARN_FINDINGS, "every kind has a name");

    return names[kind];
}

void fence_learn_findings_done(struct fence_learn_findings *findings)
{
    for (size_t i = 0; i < findings->count; i++)
        free(findings->items[i].text);
    free(findings->items);
    *findings = (struct fence_learn_findings){0};
}

/* One rule while it is looked at. */
struct checked {
    const struct fence_learn_seen *seen;
    struct fence_learn_rule_at at;
    const struct fence_rule *rule;
    struct fence_learn_use use;
    struct fence_learn_findings *findings;
};

__attribute__((format(printf, 3, 4))) static int
find(const struct checked *checked, enum fence_learn_finding_kind kind, const char *format, ...)
{
    struct fence_learn_findings *findings = checked->findings;
    char *text = NULL;
    va_list list;
    int length;

    if (FENCE_GROW(findings->items, findings->capacity, findings->count) < 0)
        return -ENOMEM;
    va_start(list, format);
    length = vasprintf(&text, format, list);
    va_end(list);
    if (length < 0)
        return -ENOMEM;
    findings->items[findings->count++] = (struct fence_learn_finding){
        .policy = checked->at.policy,
        .direction = checked->at.direction,
        .rule = checked->at.number,
        .kind = kind,
        .text = text,
    };
    return 0;
}

/* ---- ports ---------------------------------------------------------------------------------- */

static bool bit(const uint8_t *bits, unsigned int number)
{
    return bits[number / 8] >> number % 8 & 1;
}

/* "5432,8000-8003": what was seen between two ports. */
static char *seen_ports(const uint8_t *bits, const struct fence_port_spec *spec)
{
    char *text = NULL;
    size_t size = 0, shown = 0;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    for (unsigned int port = spec->first; port <= spec->last; port++) {
        unsigned int end = port;

        if (!bit(bits, port))
            continue;
        while (end < spec->last && bit(bits, end + 1))
            end++;
        if (shown == SHOWN_MAX)
            fputs(",...", out);
        else if (shown < SHOWN_MAX)
            fprintf(out, end == port ? "%s%u" : "%s%u-%u", shown ? "," : "", port, end);
        shown++;
        port = end;
    }
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

static unsigned int count_ports(const uint8_t *bits, const struct fence_port_spec *spec)
{
    unsigned int count = 0;

    for (unsigned int port = spec->first; port <= spec->last; port++)
        count += bit(bits, port);
    return count;
}

static bool any_port(const uint8_t *bits)
{
    for (size_t i = 0; i < sizeof(((struct fence_learn_use *)NULL)->ports[0]); i++)
        if (bits[i])
            return true;
    return false;
}

static const char *range_name(const struct fence_port_spec *spec, char buffer[64])
{
    char protocol[8];
    const char *name = fence_protocol_name(spec->protocol, protocol);

    if (spec->name)
        snprintf(buffer, 64, "port %s", spec->name);
    else if (fence_learn_is_icmp(spec->protocol) && spec->last - spec->first == UINT16_MAX)
        snprintf(buffer, 64, "%s", name);
    else if (fence_learn_is_icmp(spec->protocol))
        snprintf(buffer, 64, "%s type %u", name, spec->first >> 8);
    else if (spec->first == spec->last)
        snprintf(buffer, 64, "%s/%u", name, spec->first);
    else
        snprintf(buffer, 64, "%s/%u-%u", name, spec->first, spec->last);
    return buffer;
}

/* A type of ICMP without a code is what people write: that a code was not seen is no finding. */
static bool is_range(const struct fence_port_spec *spec)
{
    return !spec->name && spec->protocol != FENCE_PROTOCOL_ANY && spec->first != spec->last &&
           !fence_learn_is_icmp(spec->protocol);
}

static int check_port(const struct checked *checked, uint32_t number)
{
    const struct fence_port_spec *spec = &checked->rule->ports[number];
    const uint8_t *bits = checked->use.ports[number];
    FENCE_FREE char *text = NULL;
    char name[64];

    if (!any_port(bits))
        return find(checked, FENCE_LEARN_UNUSED, "%s was not used", range_name(spec, name));
    if (!is_range(spec) || count_ports(bits, spec) == (unsigned int)spec->last - spec->first + 1u)
        return 0;
    text = seen_ports(bits, spec);
    if (!text)
        return -ENOMEM;
    return find(checked, FENCE_LEARN_WIDER, "%s is wider than what was seen: %s",
                range_name(spec, name), text);
}

/* ---- peers ---------------------------------------------------------------------------------- */

/* "shop/web, shop/cart and 3 more" of the workloads with this mark. */
static char *workload_names(const struct checked *checked, const bool *marks)
{
    const struct fence_learn_workloads *workloads = &checked->seen->links->workloads;
    char *text = NULL;
    size_t size = 0, shown = 0;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    for (size_t i = 0; i < workloads->count; i++) {
        if (!marks[i])
            continue;
        if (shown < SHOWN_MAX)
            fprintf(out, "%s%s", shown ? ", " : "", workloads->items[i].name);
        shown++;
    }
    if (shown > SHOWN_MAX)
        fprintf(out, " and %zu more", shown - SHOWN_MAX);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

/* Workloads that the peer holds and that never came. */
static int check_selector(const struct checked *checked, uint32_t number)
{
    const struct fence_peer_spec *spec = &checked->rule->peers[number];
    size_t count = checked->seen->links->workloads.count;
    const bool *came = &checked->use.workloads[number * count];
    FENCE_FREE bool *missing = calloc(count + 1, sizeof(bool));
    FENCE_FREE char *text = NULL;
    bool any = false;

    if (!missing)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++) {
        missing[i] = !came[i] && fence_learn_peer_holds(checked->seen, checked->at.policy, spec, i);
        any |= missing[i];
    }
    if (!any)
        return 0;
    text = workload_names(checked, missing);
    if (!text)
        return -ENOMEM;
    return find(checked, FENCE_LEARN_WIDER, "peer %u also holds %s, never seen here", number, text);
}

static int check_block(const struct checked *checked, uint32_t number)
{
    const struct fence_prefix *cidr = &checked->rule->peers[number].block->cidr;
    const struct fence_learn_use *use = &checked->use;
    char block[FENCE_PREFIX_TEXT], addr[FENCE_PREFIX_TEXT], text[1024];
    size_t used = 0;

    if (cidr->length == 128)
        return 0;
    text[0] = '\0';
    for (size_t i = 0; i < use->addr_count && used < sizeof(text) - FENCE_PREFIX_TEXT; i++)
        if (fence_prefix_covers(cidr, &use->addrs[i]))
            used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", used ? ", " : "",
                                     fence_prefix_format(&use->addrs[i], addr));
    return find(checked, FENCE_LEARN_WIDER, "peer %u, block %s, is wider than what was seen: %s%s",
                number, fence_prefix_format(cidr, block), used ? text : "nothing of it",
                use->unknown_addrs ? ", and addresses that were not kept" : "");
}

static int check_peer(const struct checked *checked, uint32_t number)
{
    const struct fence_peer_spec *spec = &checked->rule->peers[number];

    if (!checked->use.peers[number])
        return find(checked, FENCE_LEARN_UNUSED, "peer %u was not used", number);
    if (spec->block)
        return check_block(checked, number);
    return spec->nodes || spec->unknown ? 0 : check_selector(checked, number);
}

/* A rule without peers holds everybody. */
static int check_everybody(const struct checked *checked)
{
    FENCE_FREE char *text = workload_names(checked, checked->use.workloads);

    if (!text)
        return -ENOMEM;
    return find(checked, FENCE_LEARN_WIDER, "everybody may; seen were %s%s%s",
                *text ? text : "no workloads", checked->use.addr_count ? " and addresses" : "",
                checked->use.unknown_addrs ? " that were not kept" : "");
}

/* ---- a policy ------------------------------------------------------------------------------- */

static int check_rule(struct checked *checked, const struct fence_learn_selection *selection)
{
    int r = fence_learn_use_find(checked->seen, &checked->at, selection, &checked->use);

    if (r < 0)
        return r;
    if (!checked->use.flows)
        return find(checked, FENCE_LEARN_UNUSED, "no connection used the rule");
    for (uint32_t i = 0; r == 0 && i < checked->rule->peer_count; i++)
        r = check_peer(checked, i);
    if (r == 0 && checked->rule->any_peer)
        r = check_everybody(checked);
    for (uint32_t i = 0; r == 0 && i < checked->rule->port_count; i++)
        r = check_port(checked, i);
    if (r == 0 && checked->rule->any_port)
        r = find(checked, FENCE_LEARN_WIDER, "every port of every protocol may be used");
    return r;
}

static int check_rules(struct checked *checked, const struct fence_learn_selection *selection)
{
    const struct fence_policy *policy = &checked->at.policy->policy;
    int r = 0;

    for (uint32_t i = 0; r == 0 && i < policy->rule_count[checked->at.direction]; i++) {
        checked->at.number = i;
        checked->rule = &policy->rules[checked->at.direction][i];
        r = check_rule(checked, selection);
        fence_learn_use_done(&checked->use);
    }
    return r;
}

static int check_direction(struct checked *checked)
{
    struct fence_learn_selection selection = {0};
    int r = 0;

    if (!checked->at.policy->policy.rule_count[checked->at.direction])
        return 0;
    r = fence_learn_selection_find(checked->seen, checked->at.policy, checked->at.direction,
                                   &selection);
    checked->at.number = FENCE_RULE_NONE;
    if (r == 0 && !selection.count)
        r = find(checked, FENCE_LEARN_UNSEEN, "no connection of the pods that it selects was seen");
    else if (r == 0)
        r = check_rules(checked, &selection);
    free(selection.items);
    return r;
}

int fence_learn_check(const struct fence_learn_seen *seen, const struct fence_object *policy,
                      struct fence_learn_findings *findings)
{
    static const unsigned int order[] = {FENCE_INGRESS, FENCE_EGRESS};
    struct checked checked = {.seen = seen, .at = {.policy = policy}, .findings = findings};
    int r = 0;

    for (size_t i = 0; r == 0 && i < FENCE_ARRAY_SIZE(order); i++) {
        checked.at.direction = order[i];
        if (policy->policy.applies[order[i]])
            r = check_direction(&checked);
    }
    return r;
}
