/* SPDX-License-Identifier: Apache-2.0 */
/* Private to cuts: the parts of a cut, from their texts to the parts of a policy. */
#pragma once

#include <cjson/cJSON.h>

#include "lib/base/err.h"

/* Kubernetes' label for the name of a namespace: every namespace has it. */
#define CUT_NAMESPACE_LABEL "kubernetes.io/metadata.name"

/*
 * "[NAMESPACE/]SELECTOR" as {"namespaceSelector":…,"podSelector":…}, each only where it says
 * something. `namespace_name` counts where the text has none; "" = all. -EINVAL, -ENOMEM.
 */
int cut_parse_pods(const char *text, const char *namespace_name, cJSON **ret_pods,
                   struct fence_err *err);
/* The same, or {"ipBlock":…}. */
int cut_parse_peer(const char *text, cJSON **ret_peer, struct fence_err *err);
/* {"protocol":…,"port":…,"endPort":…} */
int cut_parse_port(const char *text, cJSON **ret_port, struct fence_err *err);
