/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of `podfencectl check`: each adds its findings, one a fact. */
#pragma once

#include "cni/ctl/ctl.h"

enum check_level {
    CHECK_OK,
    CHECK_WARN, /* it works, but for what the finding says; or it could not be seen */
    CHECK_FAIL,
};

struct check {
    const struct ctl *ctl;
    const char *net_d;   /* NULL: the first of the usual folders that is there */
    const char *cni_bin; /* the same */
    bool preflight;      /* only what has to hold before podfence is there */
    cJSON *findings;     /* [{area,level,what,remedy}] */
    const char *area;    /* of what is added next */
};

/* One finding; `remedy` (may be NULL) is one sentence of what to do. */
__attribute__((format(printf, 4, 5))) void check_add(struct check *check, enum check_level level,
                                                     const char *remedy, const char *format, ...);

void check_kernel(struct check *check);
void check_rights(struct check *check);
void check_settings(struct check *check);
void check_chain(struct check *check);
/* The plugin in the folder of plugins, and k3s' own controller. */
void check_plugin(struct check *check);
void check_daemon(struct check *check);
/* Who else is at veths that are not podfence's. */
void check_others(struct check *check);
/* What is pinned, and who else is at the pods' interfaces. */
void check_pins(struct check *check);

/* The whole number in a file of /proc or /sys; -1 when there is none. */
long check_number(const char *path);
/* The first of the folders that is there; `given` when it is not NULL; else NULL. */
const char *check_folder(const char *given, const char *const *usual, size_t count);

/* The text form: "ok|warn|FAIL  what  - remedy", one line each. */
void check_print(FILE *out, bool color, const cJSON *value);
