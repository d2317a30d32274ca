/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the API server is and who we are there: a pod's service account, or a kubeconfig file
 * (https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/).
 */
#pragma once

#include <stdbool.h>

#include "lib/base/err.h"

struct fence_kube_config {
    char *origin; /* for messages: "the service account of this pod", a path */
    char *server; /* "https://10.96.0.1:443", an IPv6 address in brackets; no slash at the end */
    char *server_name; /* the name that its certificate must have; NULL: the host of `server` */
    char *ca_file; /* certificates of authorities, PEM; or the text itself; neither: the system's */
    char *ca_pem;
    char *token; /* bearer token; or the file that has it, which is read again as it changes */
    char *token_file;
    char *cert_file; /* client certificate and its key: both as files, or both as PEM text */
    char *key_file;
    char *cert_pem;
    char *key_pem;
    char
        *namespace_name; /* that of the pod; NULL of a kubeconfig, and where the account has none */
    bool insecure;       /* insecure-skip-tls-verify */
};

/*
 * `folder` NULL: /var/run/secrets/kubernetes.io/serviceaccount. The server's address is in the
 * environment (KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT). -ENOENT when this is no pod, or
 * the folder is not mounted: the message says what to do.
 */
int fence_kube_config_in_cluster(const char *folder, struct fence_kube_config *ret_config,
                                 struct fence_err *err);
/*
 * A kubeconfig file's current context. What it needs and podfence does not do (exec and
 * auth-provider plugins, user name and password, proxies) is refused with its name. Paths in it are
 * relative to its folder.
 */
int fence_kube_config_file(const char *path, struct fence_kube_config *ret_config,
                           struct fence_err *err);
void fence_kube_config_done(struct fence_kube_config *config);
