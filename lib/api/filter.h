/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Choosing among records: for podfencectl observe, for the daemon's observers and its event log.
 * Values of one key are alternatives; every key that has values must fit.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/api/record.h"
#include "lib/base/addr.h"
#include "lib/base/err.h"

enum fence_filter_key {
    FENCE_FILTER_VERDICT,   /* FORWARDED (allow), DROPPED (deny), AUDIT */
    FENCE_FILTER_FROM,      /* NS/POD, NS/APP, NS/SERVICE, NS/, node/NAME, world, address, block */
    FENCE_FILTER_TO,        /* the same of the other end */
    FENCE_FILTER_NAMESPACE, /* of either end */
    FENCE_FILTER_PORT,      /* of the destination: 80, 80/TCP */
    FENCE_FILTER_REASON,    /* no-rule; that of the shadow verdict counts too */
    FENCE_FILTER_POLICY,    /* Kind/NS/NAME, NS/NAME or NAME; an audited one counts too */
    FENCE_FILTER_KEYS,
};

#define FENCE_FILTER_VALUES 64  /* at most */
#define FENCE_FILTER_TEXT   512 /* bytes of one, with its NUL */

struct fence_filter_value {
    enum fence_filter_key key;
    unsigned int number;   /* reason, port */
    unsigned int protocol; /* of a port, 0 = any */
    bool is_prefix;
    struct fence_prefix prefix;
    char *text;
};

/* Zeroed = everything fits. */
struct fence_filter {
    struct fence_filter_value *values;
    size_t count;
    size_t capacity;
};

/* "verdict", "from", ...: as in texts and in JSON. */
const char *fence_filter_key_name(enum fence_filter_key key);

/* One more value. -EINVAL says what is allowed; -E2BIG: too many; -ENOMEM. */
int fence_filter_add(struct fence_filter *filter, enum fence_filter_key key, const char *value,
                     struct fence_err *err);
/* "verdict=DROPPED,AUDIT;namespace=shop" in addition to what is there. */
int fence_filter_parse(struct fence_filter *filter, const char *text, struct fence_err *err);

bool fence_filter_fits(const struct fence_filter *filter, const struct fence_record *record);
/* May a connection fit that is allowed, and would be by audited policies too? */
bool fence_filter_lets_forwarded(const struct fence_filter *filter);
void fence_filter_done(struct fence_filter *filter);
