/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the command cut: cut.c asks, cut_show.c shows. */
#pragma once

#include "cni/ctl/ctl.h"

/* The text forms of one cut, of {"cuts":[…]} and of {"undone":[…]}. */
void ctl_cut_print_one(const struct ctl *ctl, const cJSON *cut);
void ctl_cut_print_list(const struct ctl *ctl, const cJSON *value);
void ctl_cut_print_undone(const struct ctl *ctl, const cJSON *value);
