/* SPDX-License-Identifier: Apache-2.0 */
/* One file of the folder "unenforced" (lib/api/README.md), taken for hostile. */
#pragma once

#include "lib/datapath/endpoints.h"

struct fence_unenforced_record {
    struct fence_endpoint_record endpoint; /* flags: EXEMPT or OPEN, and PENDING */
    __u64 node_netns;                      /* inode of the namespace that the plugin ran in */
};

/*
 * `text` (a NUL follows it) is the content of the file `name`. -EINVAL with what is wrong with it;
 * nothing of it is used then.
 */
int fence_unenforced_parse(const char *name, const char *text, size_t size,
                           struct fence_unenforced_record *ret_record, struct fence_err *err);
