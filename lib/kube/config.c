/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/kube/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <nettle/base64.h>

#include "lib/base/file.h"
#include "lib/base/memory.h"
#include "lib/kube/config_internal.h"
#include "lib/kube/token.h"
#include "lib/objects/doc.h"
#include "lib/objects/field.h"

#define FILE_MAX       (4u << 20)
#define SERVER_MAX     2048u
#define NAME_MAX_BYTES 253u

void fence_kube_config_done(struct fence_kube_config *config)
{
    char *const texts[] = {config->origin,     config->server,    config->server_name,
                           config->ca_file,    config->ca_pem,    config->token,
                           config->token_file, config->cert_file, config->key_file,
                           config->cert_pem,   config->key_pem,   config->namespace_name};

    if (config->token)
        explicit_bzero(config->token, strlen(config->token));
    if (config->key_pem)
        explicit_bzero(config->key_pem, strlen(config->key_pem));
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(texts); i++)
        free(texts[i]);
    *config = (struct fence_kube_config){0};
}

void fence_kube_config_hand_over(struct fence_kube_config *config,
                                 struct fence_kube_config *ret_config)
{
    *ret_config = *config;
    *config = (struct fence_kube_config){0};
}

bool fence_kube_is_host(const char *text)
{
    static const char known[] = "0123456789.:-_"
                                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    size_t size = strlen(text);

    return size > 0 && size <= NAME_MAX_BYTES && strspn(text, known) == size;
}

/* ---- a kubeconfig file: its values ------------------------------------------------------------
 */

/* Empty counts as absent, as in kubectl. */
static int read_text(const struct fence_field *map, const char *key, char **ret_text,
                     struct fence_err *err)
{
    struct fence_field field = fence_field_get(map, key);
    const char *text = NULL;
    char *copy;
    int r = fence_field_string(&field, &text, err);

    if (r < 0 || !text || *text == '\0')
        return r;
    copy = strdup(text);
    if (!copy)
        return fence_err_set(err, -ENOMEM, "no memory");
    *ret_text = copy;
    return 0;
}

static int read_path(const struct fence_field *map, const char *key, const char *folder,
                     char **ret_path)
{
    struct fence_field field = fence_field_get(map, key);
    const char *text = NULL;
    char *path = NULL;

    if (fence_field_string(&field, &text, NULL) < 0)
        return -EINVAL;
    if (!text || *text == '\0')
        return 0;
    if (asprintf(&path, "%s%s%s", *text == '/' ? "" : folder, *text == '/' ? "" : "/", text) < 0)
        return -ENOMEM;
    *ret_path = path;
    return 0;
}

/* PEM text in base64; line breaks in it are nothing unusual. */
static int read_data(const struct fence_field *map, const char *key, char **ret_pem,
                     struct fence_err *err)
{
    struct fence_field field = fence_field_get(map, key);
    FENCE_FREE char *pem = NULL;
    struct base64_decode_ctx context;
    const char *text = NULL;
    size_t size;
    int r = fence_field_string(&field, &text, err);

    if (r < 0 || !text || *text == '\0')
        return r;
    size = BASE64_DECODE_LENGTH(strlen(text));
    pem = malloc(size + 1);
    if (!pem)
        return fence_err_set(err, -ENOMEM, "no memory");
    base64_decode_init(&context);
    if (!base64_decode_update(&context, &size, (uint8_t *)pem, strlen(text), text) ||
        !base64_decode_final(&context))
        return fence_field_refuse(&field, err,
                                  "is not base64: give the file's name in %.*s instead",
                                  (int)(strlen(key) - strlen("-data")), key);
    pem[size] = '\0';
    if (strlen(pem) != size || !strstr(pem, "-----BEGIN "))
        return fence_field_refuse(&field, err, "holds no PEM text (-----BEGIN ...)");
    *ret_pem = TAKE_PTR(pem);
    return 0;
}

/* KEY-data has precedence over KEY, as in kubectl. */
struct pem_keys {
    const char *file;
    const char *data;
};

static int read_pem(const struct fence_field *map, const struct pem_keys *keys, const char *folder,
                    char *ret_texts[2], struct fence_err *err)
{
    struct fence_field file = fence_field_get(map, keys->file);
    int r = fence_field_allow(&file, FENCE_DOC_STRING, err);

    if (r == 0)
        r = read_data(map, keys->data, &ret_texts[1], err);
    if (r < 0 || ret_texts[1])
        return r;
    r = read_path(map, keys->file, folder, &ret_texts[0]);
    return r < 0 ? fence_err_set(err, r, "no memory") : 0;
}

struct refusal {
    const char *key;
    const char *why;
};

static int refuse_members(const struct fence_field *map, const struct refusal *refusals,
                          struct fence_err *err)
{
    for (; refusals->key; refusals++) {
        struct fence_field field = fence_field_get(map, refusals->key);

        if (field.doc && field.doc->type != FENCE_DOC_NULL &&
            !(field.doc->text && *field.doc->text == '\0'))
            return fence_field_refuse(&field, err, "%s", refusals->why);
    }
    return 0;
}

/* ---- a kubeconfig file: its parts -------------------------------------------------------------
 */

struct kubeconfig {
    struct fence_field root;
    const char *folder;
    struct fence_kube_config *config;
};

static int check_server(const struct fence_field *cluster, char *server, struct fence_err *err)
{
    struct fence_field field = fence_field_get(cluster, "server");
    size_t size = server ? strlen(server) : 0;
    const char *host;

    if (!server)
        return fence_field_refuse(&field, err, "is missing: the address of the API server");
    if (strncmp(server, "https://", 8) != 0 && strncmp(server, "http://", 7) != 0)
        return fence_field_refuse(&field, err, "is no URL: it begins with https://");
    host = strstr(server, "://") + 3;
    if (size > SERVER_MAX || strpbrk(server, "@?#\\\"<>") || !fence_token_is_valid(server))
        return fence_field_refuse(&field, err, "is no URL of a server: https://HOST:PORT");
    while (server + size > host && server[size - 1] == '/')
        server[--size] = '\0';
    if (*host == '\0' || *host == '/' || *host == ':')
        return fence_field_refuse(&field, err, "names no host");
    return 0;
}

static int read_cluster(const struct kubeconfig *file, const struct fence_field *cluster,
                        struct fence_err *err)
{
    static const struct refusal refused[] = {
        {"proxy-url", "podfence uses no proxies: it must reach the API server itself"},
        {NULL, NULL},
    };
    static const struct pem_keys ca = {"certificate-authority", "certificate-authority-data"};
    struct fence_field name = fence_field_get(cluster, "tls-server-name");
    struct fence_kube_config *config = file->config;
    char *texts[2] = {NULL, NULL};
    int r = refuse_members(cluster, refused, err);

    if (r == 0)
        r = read_text(cluster, "server", &config->server, err);
    if (r == 0)
        r = check_server(cluster, config->server, err);
    if (r == 0)
        r = read_pem(cluster, &ca, file->folder, texts, err);
    config->ca_file = texts[0];
    config->ca_pem = texts[1];
    if (r == 0)
        r = read_text(cluster, "tls-server-name", &config->server_name, err);
    if (r == 0 && config->server_name && !fence_kube_is_host(config->server_name))
        r = fence_field_refuse(&name, err, "is no host name");
    if (r == 0) {
        struct fence_field insecure = fence_field_get(cluster, "insecure-skip-tls-verify");

        r = fence_field_bool(&insecure, &config->insecure, err);
    }
    return r;
}

static const struct refusal refused_of_users[] = {
    {"exec", "podfence runs no plugins; use a token, tokenFile or a client certificate"},
    {"auth-provider", "podfence runs no plugins; use a token, tokenFile or a client certificate"},
    {"username", "podfence sends no passwords; use a token, tokenFile or a client certificate"},
    {"password", "podfence sends no passwords; use a token, tokenFile or a client certificate"},
    {"as", "podfence speaks as itself alone; give this user its rights instead"},
    {"as-uid", "podfence speaks as itself alone; give this user its rights instead"},
    {"as-groups", "podfence speaks as itself alone; give this user its rights instead"},
    {"as-user-extra", "podfence speaks as itself alone; give this user its rights instead"},
    {NULL, NULL},
};

/* tokenFile has precedence over token, as in kubectl. */
static int read_token(const struct kubeconfig *file, const struct fence_field *user,
                      struct fence_err *err)
{
    struct fence_kube_config *config = file->config;
    struct fence_field token = fence_field_get(user, "token");
    struct fence_field token_file = fence_field_get(user, "tokenFile");
    int r = fence_field_allow(&token_file, FENCE_DOC_STRING, err);

    if (r < 0)
        return r;
    r = read_path(user, "tokenFile", file->folder, &config->token_file);
    if (r < 0)
        return fence_err_set(err, r, "no memory");
    r = config->token_file ? 0 : read_text(user, "token", &config->token, err);
    if (r == 0 && config->token && !fence_token_is_valid(config->token))
        r = fence_field_refuse(&token, err, "has characters that no token has");
    return r;
}

/* The certificate and its key: both or none, and of one kind. */
static int read_certificate(const struct kubeconfig *file, const struct fence_field *user,
                            struct fence_err *err)
{
    static const struct pem_keys cert_keys = {"client-certificate", "client-certificate-data"};
    static const struct pem_keys key_keys = {"client-key", "client-key-data"};
    struct fence_kube_config *config = file->config;
    char *cert[2] = {NULL, NULL};
    char *key[2] = {NULL, NULL};
    int r = read_pem(user, &cert_keys, file->folder, cert, err);

    if (r == 0)
        r = read_pem(user, &key_keys, file->folder, key, err);
    config->cert_file = cert[0];
    config->cert_pem = cert[1];
    config->key_file = key[0];
    config->key_pem = key[1];
    if (r == 0 && (!cert[0] != !key[0] || !cert[1] != !key[1]))
        r = fence_field_refuse(user, err,
                               "a client certificate needs its key, both as files or both as data");
    return r;
}

static int read_user(const struct kubeconfig *file, const struct fence_field *user,
                     struct fence_err *err)
{
    const struct fence_kube_config *config = file->config;
    int r = refuse_members(user, refused_of_users, err);

    if (r == 0)
        r = read_token(file, user, err);
    if (r == 0)
        r = read_certificate(file, user, err);
    if (r == 0 && strncmp(config->server, "http://", 7) == 0 &&
        (config->token || config->token_file || config->cert_file || config->cert_pem))
        r = fence_field_refuse(user, err, "is not sent to %s: its URL must begin with https://",
                               config->server);
    return r;
}

/* ---- a kubeconfig file: the whole -------------------------------------------------------------
 */

struct part {
    const char *list;   /* "clusters" */
    const char *member; /* "cluster" */
    int (*read)(const struct kubeconfig *file, const struct fence_field *member,
                struct fence_err *err);
};

/* The element with this name: of several, the first counts, as in kubectl. */
static int read_part(const struct kubeconfig *file, const struct part *part, const char *name,
                     struct fence_err *err)
{
    struct fence_field list = fence_field_get(&file->root, part->list);
    int r = fence_field_allow(&list, FENCE_DOC_LIST, err);

    for (size_t i = 0; r == 0 && i < fence_field_count(&list); i++) {
        struct fence_field item = fence_field_item(&list, i);
        struct fence_field key = fence_field_get(&item, "name");
        struct fence_field member = fence_field_get(&item, part->member);
        const char *text = "";

        r = fence_field_expect(&item, FENCE_DOC_MAP, err);
        if (r == 0)
            r = fence_field_string(&key, &text, err);
        if (r < 0 || strcmp(text, name) != 0)
            continue;
        r = fence_field_expect(&member, FENCE_DOC_MAP, err);
        return r < 0 ? r : part->read(file, &member, err);
    }
    return r < 0 ? r
                 : fence_err_set(err, -EINVAL, "%s: there is none with the name \"%s\"", part->list,
                                 name);
}

/* A context without a user is one that needs none. */
static int read_context(const struct kubeconfig *file, const struct fence_field *context,
                        struct fence_err *err)
{
    static const struct part clusters = {"clusters", "cluster", read_cluster};
    static const struct part users = {"users", "user", read_user};
    struct fence_field cluster_field = fence_field_get(context, "cluster");
    FENCE_FREE char *cluster = NULL;
    FENCE_FREE char *user = NULL;
    int r = read_text(context, "cluster", &cluster, err);

    if (r == 0)
        r = read_text(context, "user", &user, err);
    if (r < 0)
        return r;
    if (!cluster)
        return fence_field_refuse(&cluster_field, err, "is missing");
    r = read_part(file, &clusters, cluster, err);
    return r < 0 || !user ? r : read_part(file, &users, user, err);
}

static int read_root(const struct kubeconfig *file, struct fence_err *err)
{
    static const struct part contexts = {"contexts", "context", read_context};
    struct fence_field current = fence_field_get(&file->root, "current-context");
    FENCE_FREE char *name = NULL;
    int r = fence_field_expect(&file->root, FENCE_DOC_MAP, err);

    if (r == 0)
        r = read_text(&file->root, "current-context", &name, err);
    if (r < 0)
        return r;
    if (!name)
        return fence_field_refuse(&current, err,
                                  "is missing: kubectl config use-context NAME sets it");
    return read_part(file, &contexts, name, err);
}

static int read_document(const char *path, const struct fence_doc *doc,
                         struct fence_kube_config *config, struct fence_err *err)
{
    struct fence_warnings warnings = {0};
    struct kubeconfig file = {.root = {.doc = doc, .warnings = &warnings}, .config = config};
    FENCE_FREE char *folder = strdup(path);
    char *slash = folder ? strrchr(folder, '/') : NULL;

    config->origin = strdup(path);
    if (!folder || !config->origin)
        return fence_err_set(err, -ENOMEM, "no memory");
    if (slash)
        *slash = '\0';
    file.folder = slash ? folder : ".";
    return read_root(&file, err);
}

int fence_kube_config_file(const char *path, struct fence_kube_config *ret_config,
                           struct fence_err *err)
{
    FENCE_CLEANUP(fence_kube_config_done) struct fence_kube_config config = {0};
    FENCE_CLEANUP(fence_docs_done) struct fence_docs docs = {0};
    FENCE_FREE char *data = NULL;
    size_t size;
    int r = fence_file_read(AT_FDCWD, path, FILE_MAX, &data, &size, err);

    if (r < 0)
        return r;
    r = fence_docs_parse(data, size, &docs, err);
    explicit_bzero(data, size);
    if (r == 0 && docs.count != 1)
        r = fence_err_set(err, -EINVAL, "has %zu documents, a kubeconfig file has one", docs.count);
    if (r == 0)
        r = read_document(path, docs.items[0], &config, err);
    if (r < 0)
        return fence_err_prefix(err, r, "%s", path);
    fence_kube_config_hand_over(&config, ret_config);
    return 0;
}
