/* SPDX-License-Identifier: Apache-2.0 */
/* podfence's entry of the chain, as the runtime hands it over on standard input (DESIGN 4.1). */
#pragma once

#include <stdbool.h>

#include "bpf/abi.h"
#include "lib/base/labels.h"
#include "lib/cni/error.h"
#include "lib/cni/json.h"

enum fence_start_mode {
    FENCE_START_HOLD,
    FENCE_START_CLOSED,
    FENCE_START_OPEN,
};

enum fence_log_level {
    FENCE_LOG_ERROR,
    FENCE_LOG_WARNING,
    FENCE_LOG_INFO,
    FENCE_LOG_DEBUG,
};

#define FENCE_HOLD_TIMEOUT_DEFAULT_MS 2000
#define FENCE_HOLD_TIMEOUT_MAX_MS     60000

struct fence_netconf {
    cJSON *json;              /* owned; all pointers below are into it */
    struct fence_slice whole; /* the caller's text, which has to outlive this */
    const char *version;      /* NULL when absent */
    const char *name;
    const cJSON *prev_result; /* NULL when absent */
    enum fence_start_mode start_mode;
    unsigned int hold_timeout_ms;
    bool fail_open;    /* failurePolicy */
    const char *bpffs; /* NULL when not given, as is socket */
    const char *socket;
    enum fence_log_level log_level;
    const cJSON *start_modes;       /* object of namespace to mode, or NULL */
    const cJSON *exempt_namespaces; /* list of names, or NULL */
};

/*
 * Decode `text` (a NUL follows it): one object with a usable network name; the settings get their
 * defaults. Codes 6 and 7.
 */
int fence_netconf_load(const char *text, size_t size, struct fence_netconf *ret_conf,
                       struct fence_cni_error *error);
void fence_netconf_done(struct fence_netconf *conf);

/*
 * Take the settings over. A known key with a wrong value or one that is there twice is code 7,
 * naming key, value and what is allowed; `conf` keeps what was good until then.
 */
int fence_netconf_settings(struct fence_netconf *conf, struct fence_cni_error *error);

/* Calls `row` for each key of podfence's own: what it means, and [its default]. */
void fence_netconf_describe(void (*row)(void *context, const char *key, const char *help),
                            void *context);

/* Calls `report` for every key that neither podfence nor the CNI specification knows. */
void fence_netconf_unknown_keys(const cJSON *entry, void (*report)(void *context, const char *key),
                                void *context);

enum fence_start_mode fence_netconf_start_mode(const struct fence_netconf *conf,
                                               const char *namespace_name);
bool fence_netconf_is_exempt(const struct fence_netconf *conf, const char *namespace_name);

/* Does the runtime say that what the pod sends is limited? The bandwidth plugin makes an `ingress`
 * qdisc for it on the host's side, before podfence or after it. */
bool fence_netconf_is_limited(const struct fence_netconf *conf);

/*
 * The pod's labels: args.cni.labels (a list of {key, value}, or an object), else the annotation
 * podfence.io/labels; none is an empty list. As text in the order of their keys. Code 7 when one
 * breaks the syntax of Kubernetes or all of them do not fit.
 */
int fence_netconf_labels(const struct fence_netconf *conf, char ret_text[FENCE_LABELS_MAX],
                         enum fence_label_source *ret_source, struct fence_cni_error *error);
