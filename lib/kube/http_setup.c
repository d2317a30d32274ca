/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/kube/http_setup.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/memory.h"

#define CONNECT_MS        10000L
#define KEEPALIVE_S       20L
#define KEEPALIVE_EVERY_S 5L
#define UNANSWERED_MS     35000u

static void curl_free_p(char **text)
{
    curl_free(*text);
    *text = NULL;
}

static void curl_url_p(CURLU **url)
{
    curl_url_cleanup(*url);
    *url = NULL;
}

#define CURL_FREE FENCE_CLEANUP(curl_free_p)

/* ---- where ------------------------------------------------------------------------------------
 */

/*
 * A certificate is for the host of the URL, so that a server whose certificate has another name
 * gets a URL with that name; the connection goes to the real host.
 */
static int set_other_name(struct fence_http_setup *setup, CURLU *url, const char *name)
{
    CURL_FREE char *host = NULL;
    CURL_FREE char *port = NULL;
    CURL_FREE char *text = NULL;
    FENCE_FREE char *target = NULL;

    if (curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK)
        return -EINVAL;
    if (asprintf(&target, "::%s:%s", host, port) < 0) {
        target = NULL;
        return -ENOMEM;
    }
    setup->connect_to = curl_slist_append(NULL, target);
    if (!setup->connect_to || asprintf(&setup->host_header, "Host: %s:%s", host, port) < 0)
        return -ENOMEM;
    if (curl_url_set(url, CURLUPART_HOST, name, 0) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_URL, &text, 0) != CURLUE_OK)
        return -EINVAL;
    free(setup->base);
    setup->base = strdup(text);
    return setup->base ? 0 : -ENOMEM;
}

static int set_where(struct fence_http_setup *setup, const struct fence_kube_config *config)
{
    FENCE_CLEANUP(curl_url_p) CURLU *url = curl_url();
    CURL_FREE char *host = NULL;
    CURL_FREE char *port = NULL;
    size_t size;
    int r = 0;

    if (!url)
        return -ENOMEM;
    if (curl_url_set(url, CURLUPART_URL, config->server, 0) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK)
        return -EINVAL;
    setup->base = strdup(config->server);
    if (!setup->base || asprintf(&setup->where, "%s port %s", host, port) < 0)
        return -ENOMEM;
    if (config->server_name && strcmp(config->server_name, host) != 0)
        r = set_other_name(setup, url, config->server_name);
    /* paths begin with a slash */
    size = strlen(setup->base);
    while (size > 0 && setup->base[size - 1] == '/')
        setup->base[--size] = '\0';
    return r;
}

/* ---- how --------------------------------------------------------------------------------------
 */

/* A peer that is gone without a word is noticed by what it does not acknowledge, too. */
static int prepare_socket(void *context, curl_socket_t fd, curlsocktype type)
{
    unsigned int ms = UNANSWERED_MS;

    (void)context;
    (void)type;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
    return CURL_SOCKOPT_OK;
}

/* Remembers the first failure, so that a row of options is set without a question after each. */
#define SET(easy, option, value, failed)                                                           \
    do {                                                                                           \
        if (curl_easy_setopt(easy, option, value) != CURLE_OK)                                     \
            (failed) = true;                                                                       \
    } while (0)

static bool set_connection(CURL *easy, const char *user_agent)
{
    bool failed = false;

    SET(easy, CURLOPT_PROTOCOLS_STR, "https,http", failed);
    SET(easy, CURLOPT_USERAGENT, user_agent, failed);
    SET(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS, failed);
    SET(easy, CURLOPT_PIPEWAIT, 1L, failed);
    SET(easy, CURLOPT_ACCEPT_ENCODING, "gzip", failed);
    SET(easy, CURLOPT_FOLLOWLOCATION, 0L, failed);
    SET(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS, failed);
    /* a name that is being looked up does not hold up who goes */
    SET(easy, CURLOPT_QUICK_EXIT, 1L, failed);
    SET(easy, CURLOPT_TCP_KEEPALIVE, 1L, failed);
    SET(easy, CURLOPT_TCP_KEEPIDLE, KEEPALIVE_S, failed);
    SET(easy, CURLOPT_TCP_KEEPINTVL, KEEPALIVE_EVERY_S, failed);
    SET(easy, CURLOPT_SOCKOPTFUNCTION, prepare_socket, failed);
    return !failed;
}

static bool set_blob(CURL *easy, CURLoption option, const char *text)
{
    struct curl_blob blob = {.len = strlen(text), .flags = CURL_BLOB_COPY};

    memcpy(&blob.data, &text, sizeof(blob.data)); /* it takes no const, and copies */
    return curl_easy_setopt(easy, option, &blob) == CURLE_OK;
}

static bool set_authority(CURL *easy, const struct fence_kube_config *config)
{
    bool failed = false;

    SET(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2, failed);
    SET(easy, CURLOPT_SSL_VERIFYPEER, config->insecure ? 0L : 1L, failed);
    SET(easy, CURLOPT_SSL_VERIFYHOST, config->insecure ? 0L : 2L, failed);
    /* the file may be replaced: each connection reads it */
    SET(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L, failed);
    if (config->ca_file)
        SET(easy, CURLOPT_CAINFO, config->ca_file, failed);
    else if (config->ca_pem)
        failed |= !set_blob(easy, CURLOPT_CAINFO_BLOB, config->ca_pem);
    return !failed;
}

static bool set_certificate(CURL *easy, const struct fence_kube_config *config)
{
    bool failed = false;

    if (config->cert_file) {
        SET(easy, CURLOPT_SSLCERT, config->cert_file, failed);
        SET(easy, CURLOPT_SSLKEY, config->key_file, failed);
    } else if (config->cert_pem) {
        failed |= !set_blob(easy, CURLOPT_SSLCERT_BLOB, config->cert_pem);
        failed |= !set_blob(easy, CURLOPT_SSLKEY_BLOB, config->key_pem);
    } else {
        return true;
    }
    /* else OpenSSL would ask at the terminal for the password of an encrypted key */
    SET(easy, CURLOPT_KEYPASSWD, "", failed);
    return !failed;
}

void fence_http_setup_done(struct fence_http_setup *setup)
{
    curl_easy_cleanup(setup->easy);
    curl_slist_free_all(setup->connect_to);
    free(setup->base);
    free(setup->where);
    free(setup->host_header);
    *setup = (struct fence_http_setup){0};
}

int fence_http_setup_init(struct fence_http_setup *setup, const struct fence_kube_config *config,
                          const char *user_agent, struct fence_err *err)
{
    FENCE_CLEANUP(fence_http_setup_done) struct fence_http_setup new = {0};
    int r = set_where(&new, config);

    if (r == -EINVAL)
        return fence_err_set(err, r, "%s: %s is no URL of a server", config->origin,
                             config->server);
    if (r < 0)
        return fence_err_set(err, r, "no memory");
    new.easy = curl_easy_init();
    if (!new.easy || !set_connection(new.easy, user_agent) || !set_authority(new.easy, config) ||
        !set_certificate(new.easy, config) ||
        (new.connect_to &&curl_easy_setopt(new.easy, CURLOPT_CONNECT_TO, new.connect_to) !=
         CURLE_OK))
        return fence_err_set(err, -ENOMEM, "libcurl: no memory, or it lacks what podfence needs");
    *setup = new;
    new = (struct fence_http_setup){0};
    return 0;
}
