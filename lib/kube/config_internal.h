/* SPDX-License-Identifier: Apache-2.0 */
/* Private to config*.c. */
#pragma once

#include "lib/kube/config.h"

/* A host's name or address. */
bool fence_kube_is_host(const char *text);
/* Its texts change hands. */
void fence_kube_config_hand_over(struct fence_kube_config *config,
                                 struct fence_kube_config *ret_config);
