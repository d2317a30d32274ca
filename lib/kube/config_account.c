/* SPDX-License-Identifier: Apache-2.0 */
/* The service account of a pod. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/memory.h"
#include "lib/kube/config_internal.h"
#include "lib/objects/decoders.h"

#define ACCOUNT_FOLDER "/var/run/secrets/kubernetes.io/serviceaccount"
#define NAMESPACE_MAX  1024u

static int no_pod(struct fence_err *err, const char *what)
{
    return fence_err_set(
        err, -ENOENT,
        "%s: outside a pod podfenced needs --kubeconfig FILE, in a pod its service "
        "account's token must be mounted (automountServiceAccountToken)",
        what);
}

static bool is_port(const char *text)
{
    size_t size = strlen(text);

    return size > 0 && size <= 5 && strspn(text, "0123456789") == size && atol(text) > 0 &&
           atol(text) <= 65535;
}

static int server_from_environment(char **ret_server, struct fence_err *err)
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST");
    const char *port = getenv("KUBERNETES_SERVICE_PORT");
    bool is_v6;

    if (!host || !port)
        return no_pod(err, "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set");
    if (!fence_kube_is_host(host))
        return fence_err_set(err, -EINVAL, "KUBERNETES_SERVICE_HOST is no host");
    if (!is_port(port))
        return fence_err_set(err, -EINVAL, "KUBERNETES_SERVICE_PORT is no port");
    is_v6 = strchr(host, ':');
    if (asprintf(ret_server, "https://%s%s%s:%s", is_v6 ? "[" : "", host, is_v6 ? "]" : "", port) <
        0)
        return fence_err_set(err, -ENOMEM, "no memory");
    return 0;
}

static int account_file(const char *folder, const char *name, char **ret_path,
                        struct fence_err *err)
{
    FENCE_FREE char *path = NULL;
    struct fence_err why;

    if (asprintf(&path, "%s/%s", folder, name) < 0) {
        path = NULL;
        return fence_err_set(err, -ENOMEM, "no memory");
    }
    if (access(path, R_OK) < 0) {
        fence_err_set(&why, 0, "%s: %s", path, strerror(errno));
        return errno == ENOENT ? no_pod(err, why.text) : fence_err_set(err, -errno, "%s", why.text);
    }
    *ret_path = TAKE_PTR(path);
    return 0;
}

/* A folder may be without it. */
static int account_namespace(const char *folder, char **ret_name, struct fence_err *err)
{
    FENCE_FREE char *path = NULL;
    FENCE_FREE char *text = NULL;
    size_t size;
    int r;

    if (asprintf(&path, "%s/namespace", folder) < 0) {
        path = NULL;
        return fence_err_set(err, -ENOMEM, "no memory");
    }
    if (access(path, F_OK) < 0 && errno == ENOENT)
        return 0;
    r = fence_file_read(AT_FDCWD, path, NAMESPACE_MAX, &text, &size, err);
    if (r < 0)
        return r;
    text[strcspn(text, "\n")] = '\0';
    if (!fence_name_is_label(text))
        return fence_err_set(err, -EINVAL, "%s holds no name of a namespace", path);
    *ret_name = TAKE_PTR(text);
    return 0;
}

int fence_kube_config_in_cluster(const char *folder, struct fence_kube_config *ret_config,
                                 struct fence_err *err)
{
    FENCE_CLEANUP(fence_kube_config_done) struct fence_kube_config config = {0};
    int r = server_from_environment(&config.server, err);

    if (!folder)
        folder = ACCOUNT_FOLDER;
    if (r == 0)
        r = account_file(folder, "token", &config.token_file, err);
    if (r == 0)
        r = account_file(folder, "ca.crt", &config.ca_file, err);
    if (r == 0)
        r = account_namespace(folder, &config.namespace_name, err);
    if (r < 0)
        return r;
    config.origin = strdup("the service account of this pod");
    if (!config.origin)
        return fence_err_set(err, -ENOMEM, "no memory");
    fence_kube_config_hand_over(&config, ret_config);
    return 0;
}
