/* SPDX-License-Identifier: Apache-2.0 */
/* What all exchanges with one server have in common: a handle of libcurl that is copied for each.
 */
#pragma once

#include <curl/curl.h>

#include "lib/base/err.h"
#include "lib/kube/config.h"

struct fence_http_setup {
    CURL *easy;                    /* the original */
    struct curl_slist *connect_to; /* the copies refer to it */
    char *base;                    /* what paths are added to */
    char *where;                   /* for messages: "10.96.0.1 port 443" */
    char *host_header;             /* "Host: ..." when the URL has another name, else NULL */
};

int fence_http_setup_init(struct fence_http_setup *setup, const struct fence_kube_config *config,
                          const char *user_agent, struct fence_err *err);
/* After its copies. */
void fence_http_setup_done(struct fence_http_setup *setup);
