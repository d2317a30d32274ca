/* SPDX-License-Identifier: Apache-2.0 */
#include "test/kube/server/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "lib/base/file.h"
#include "lib/base/memory.h"

#define PEM_MAX ((size_t)64 << 10)

#define NAMES                                                                                      \
    "subjectAltName=IP:127.0.0.1,IP:::1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,"      \
    "DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local\n"                        \
    "extendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n"
#define CLIENT "extendedKeyUsage=clientAuth\nbasicConstraints=CA:FALSE\n"

/* In the folder; openssl's chatter goes nowhere. The folder is made of what a test's own shell may
 * write anyway, so that a shell may read the line. */
static int run(const char *folder, const char *line, struct fence_err *err)
{
    FENCE_FREE char *whole = NULL;
    int status;

    if (asprintf(&whole, "cd '%s' && { %s; } >openssl.log 2>&1", folder, line) < 0)
        return fence_err_set(err, -ENOMEM, "out of memory");
    status = system(whole); /* NOLINT(bugprone-command-processor): see above */
    if (status != 0)
        return fence_err_set(err, -EIO, "openssl failed: see %s/openssl.log", folder);
    return 0;
}

static int write_text(const char *folder, const char *name, const char *text, mode_t mode,
                      struct fence_err *err)
{
    FENCE_FREE char *path = NULL;

    if (asprintf(&path, "%s/%s", folder, name) < 0)
        return fence_err_set(err, -ENOMEM, "out of memory");
    return fence_file_write(path, text, strlen(text), mode, err);
}

static int read_text(const char *folder, const char *name, char **ret_text, struct fence_err *err)
{
    FENCE_FREE char *path = NULL;
    size_t size;

    if (asprintf(&path, "%s/%s", folder, name) < 0)
        return fence_err_set(err, -ENOMEM, "out of memory");
    return fence_file_read(AT_FDCWD, path, PEM_MAX, ret_text, &size, err);
}

#define KEY "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
#define SIGN(name)                                                                                 \
    " && openssl req " KEY " -keyout " name ".key -out " name ".csr -subj \"$" name "\""           \
    " && openssl x509 -req -in " name ".csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30"     \
    " -extfile " name ".ext -out " name ".crt"

static int make_certificates(const char *folder, struct fence_err *err)
{
    int result = write_text(folder, "server.ext", NAMES, 0644, err);

    if (result == 0)
        result = write_text(folder, "client.ext", CLIENT, 0644, err);
    if (result == 0)
        result = run(folder,
                     "umask 077; server=/CN=kube-apiserver client=/O=test/CN=agent;"
                     "openssl req -x509 " KEY " -keyout ca.key -out ca.crt -days 30"
                     " -subj /CN=test-apiserver-ca" SIGN("server") SIGN("client"),
                     err);
    return result;
}

static int load(struct tls *tls, struct fence_err *err)
{
    int result = read_text(tls->folder, "ca.crt", &tls->ca, err);

    if (result == 0)
        result = read_text(tls->folder, "server.crt", &tls->certificate, err);
    if (result == 0)
        result = read_text(tls->folder, "server.key", &tls->key, err);
    return result;
}

void tls_done(struct tls *tls)
{
    free(TAKE_PTR(tls->folder));
    free(TAKE_PTR(tls->ca));
    free(TAKE_PTR(tls->certificate));
    free(TAKE_PTR(tls->key));
}

int tls_init(struct tls *tls, const char *folder, struct fence_err *err)
{
    FENCE_FREE char *there = NULL;
    struct fence_err ignored;
    int result = 0;

    if (strchr(folder, '\''))
        return fence_err_set(err, -EINVAL, "a folder without quotes, please: %s", folder);
    tls->folder = realpath(folder, NULL);
    if (!tls->folder)
        return fence_err_set(err, -errno, "%s: %s", folder, strerror(errno));
    if (read_text(tls->folder, "client.crt", &there, &ignored) < 0)
        result = make_certificates(tls->folder, err);
    if (result == 0)
        result = load(tls, err);
    return result;
}

/* ---- clients -------------------------------------------------------------------------------- */

static int write_kubeconfig(const struct tls *tls, const char *name, const char *server,
                            const char *user, struct fence_err *err)
{
    FENCE_FREE char *text = NULL;

    if (asprintf(&text,
                 "apiVersion: v1\nkind: Config\ncurrent-context: test\n"
                 "clusters:\n- name: test\n  cluster:\n    server: %s\n"
                 "    certificate-authority: %s/ca.crt\n"
                 "contexts:\n- name: test\n  context:\n    cluster: test\n    user: agent\n"
                 "users:\n- name: agent\n  user:\n%s",
                 server, tls->folder, user) < 0)
        return fence_err_set(err, -ENOMEM, "out of memory");
    return write_text(tls->folder, name, text, 0600, err);
}

static int write_account(const struct tls *tls, const char *token, struct fence_err *err)
{
    FENCE_FREE char *folder = NULL;
    int result;

    if (asprintf(&folder, "%s/serviceaccount", tls->folder) < 0)
        return fence_err_set(err, -ENOMEM, "out of memory");
    result = fence_mkdirs(folder, 0755, err);
    if (result == 0)
        result = write_text(folder, "token", token, 0600, err);
    if (result == 0)
        result = write_text(folder, "ca.crt", tls->ca, 0644, err);
    if (result == 0)
        result = write_text(folder, "namespace", "default", 0644, err);
    return result;
}

int tls_write_clients(const struct tls *tls, const char *host, uint16_t port, const char *token,
                      struct fence_err *err)
{
    FENCE_FREE char *server = NULL, *by_token = NULL, *by_certificate = NULL;
    int result;

    if (asprintf(&server, "https://%s:%u", host, port) < 0 ||
        asprintf(&by_token, "    token: %s\n", token) < 0 ||
        asprintf(&by_certificate,
                 "    client-certificate: %s/client.crt\n    client-key: %s/client.key\n",
                 tls->folder, tls->folder) < 0)
        return fence_err_set(err, -ENOMEM, "out of memory");
    result = write_kubeconfig(tls, "kubeconfig", server, by_token, err);
    if (result == 0)
        result = write_kubeconfig(tls, "kubeconfig-cert", server, by_certificate, err);
    if (result == 0)
        result = write_account(tls, token, err);
    if (result == 0)
        result = write_text(tls->folder, "server", server, 0644, err);
    return result;
}
