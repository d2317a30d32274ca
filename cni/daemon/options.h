/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of podfenced. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "cni/daemon/adopt.h"
#include "cni/daemon/alarms.h"
#include "cni/daemon/audit.h"
#include "cni/daemon/event_log.h"
#include "cni/daemon/http.h"
#include "cni/daemon/log.h"
#include "lib/base/err.h"
#include "lib/datapath/attach.h"
#include "lib/datapath/load.h"
#include "lib/install/install.h"

/* A repeatable option's values, borrowed from argv. */
struct fence_option_list {
    const char **items;
    size_t count;
    size_t capacity;
};

/* Texts are borrowed from argv or the environment. */
struct fence_options {
    struct fence_option_list objects;
    const char *kubeconfig;       /* NULL: the pod's service account */
    bool kubernetes;              /* objects come from the API server */
    bool address_slices;          /* what other nodes have comes in slices */
    const char *policy_namespace; /* NULL: the pod's own */
    bool report;                  /* and statuses and Events are written there */
    struct fence_option_list required_labels;
    struct fence_option_list cni_caches;
    struct fence_option_list exempt_namespaces;
    enum fence_adopt_mode adopt;
    const char *state;
    const char *bpffs;
    const char *socket;
    const char *node_name;
    const char *trust_domain;
    enum fence_attach_mode attach;
    enum fence_kernel_structs kernel_structs;
    unsigned int mark_mask;
    unsigned int source_flags; /* FENCE_EP_SOURCE_* */
    enum fence_same_node same_node;
    bool device_hooks; /* see devices.h */
    enum fence_log_level log_level;
    enum fence_install_mode install_cni;
    const char *cni_conf_dir; /* NULL: by the platform, as is the next */
    const char *cni_bin_dir;
    const char *platform;
    const char *plugin;     /* NULL: the one that came with this program */
    const char *cni_entry;  /* NULL: the default */
    unsigned int cni_check; /* seconds */
    struct fence_audit_options audit;
    struct fence_http_options http;
    bool own_node_egress_is_policy;
    bool labels_from_annotations;
    bool audit_annotation;
    bool audit_all;
    struct fence_event_log_options event_log;
    struct fence_alarms_options alarms;
    int64_t socket_group; /* -1 = none: root only */
    struct fence_map_size *sizes;
    size_t size_count;
    size_t size_capacity;
    char host_name[256];
};

enum fence_options_action {
    FENCE_OPTIONS_RUN,
    FENCE_OPTIONS_HELP,
    FENCE_OPTIONS_HELP_MAN,
    FENCE_OPTIONS_HELP_BASH,
    FENCE_OPTIONS_VERSION,
};

/* Defaults, then argv. -EINVAL names the option and what is allowed. */
int fence_options_parse(struct fence_options *options, int argc, char *const *argv,
                        enum fence_options_action *ret_action, struct fence_err *err);
void fence_options_done(struct fence_options *options);
