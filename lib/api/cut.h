/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An emergency cut: as people write it, as the socket and --state carry it, and as the policy that
 * it becomes, a ClusterSegmentPolicy of mode Denylist with an end. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "lib/base/err.h"

#define FENCE_CUT_PORTS_MAX   32u
#define FENCE_CUT_TEXT_MAX    1024u /* bytes of a selector */
#define FENCE_CUT_REASON_MAX  256u
#define FENCE_CUT_SECONDS_MAX 2592000u /* 30 days */

enum fence_cut_direction {
    FENCE_CUT_BOTH,
    FENCE_CUT_INGRESS,
    FENCE_CUT_EGRESS,
    FENCE_CUT_DIRECTIONS,
};

/*
 * Texts are borrowed; NULL is as "".
 *
 * pods: "[NAMESPACE/]SELECTOR", where a selector is key=value, key!=value, key in (a,b) or
 * key notin (a,b), joined by commas; "NAMESPACE/" means all of it, "" everything in all namespaces.
 * peer: the same, or an address or block; "" = whoever it is.
 * ports: "5432/TCP", "8000-8010/UDP", "web/TCP" (a named port), "5432" (TCP), "TCP", "ICMP".
 */
struct fence_cut {
    const char *pods;
    const char *namespace_name; /* of pods, where they do not say it; "" and "all" = all of them */
    const char *peer;
    const char *ports[FENCE_CUT_PORTS_MAX];
    size_t port_count; /* 0 = all */
    enum fence_cut_direction direction;
    uint32_t seconds;   /* 1 to FENCE_CUT_SECONDS_MAX */
    bool everything;    /* without it, one that selects every pod is refused */
    const char *origin; /* "user", "alarm" */
    const char *reason; /* "" = none given */
};

/* "both", "ingress", "egress". */
const char *fence_cut_direction_name(enum fence_cut_direction direction);
/* -EINVAL. */
int fence_cut_direction_parse(const char *text, enum fence_cut_direction *ret_direction);

/* "90s", "10m", "2h", "1d", "1h30m"; 1 second to 30 days. -EINVAL. */
int fence_cut_duration_parse(const char *text, uint32_t *ret_seconds, struct fence_err *err);

/*
 * The policy of this name, which ends at `expires_at` (seconds since 1970). The caller deletes
 * *ret_policy. -EINVAL says which part is wrong and how it is written; -ENOMEM.
 */
int fence_cut_policy(const struct fence_cut *cut, const char *name, int64_t expires_at,
                     cJSON **ret_policy, struct fence_err *err);

/*
 * The wall clock's second of the moment `end_ns` of the boot clock, when the two clocks say this;
 * `before` where that has moved by less than a second, since clocks are not read at one moment.
 */
int64_t fence_cut_expiry(int64_t before, uint64_t end_ns, uint64_t wall_ns, uint64_t boot_ns);

/* A new object with the members selector, namespace, peer, ports, direction, seconds, everything,
 * origin and reason; NULL when out of memory. */
cJSON *fence_cut_to_json(const struct fence_cut *cut);
/* Back from these members; the texts are borrowed from `json`. -EINVAL names the member. */
int fence_cut_from_json(const cJSON *json, struct fence_cut *ret_cut, struct fence_err *err);
