/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/kube/http_end.h"

#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"

static const struct {
    CURLcode curl;
    int code;
    const char *text; /* NULL: what libcurl says */
} known[] = {
    {CURLE_COULDNT_RESOLVE_HOST, -EIO, "its address is not known to DNS"},
    {CURLE_PARTIAL_FILE, -ECONNRESET, "the connection ended in the middle of the answer"},
    {CURLE_GOT_NOTHING, -ECONNRESET, "the connection ended before an answer"},
    {CURLE_SEND_ERROR, -ECONNRESET, NULL},
    {CURLE_RECV_ERROR, -ECONNRESET, NULL},
    {CURLE_HTTP2, -ECONNRESET, NULL},
    {CURLE_HTTP2_STREAM, -ECONNRESET, "the connection ended in the middle of the answer"},
    {CURLE_PEER_FAILED_VERIFICATION, -EACCES, NULL},
    {CURLE_SSL_CACERT_BADFILE, -EACCES, NULL},
    {CURLE_SSL_ISSUER_ERROR, -EACCES, NULL},
    {CURLE_SSL_CERTPROBLEM, -EACCES, NULL},
    {CURLE_SSL_CONNECT_ERROR, -EACCES, NULL},
    {CURLE_SSL_CIPHER, -EACCES, NULL},
    {CURLE_OPERATION_TIMEDOUT, -ETIMEDOUT, "no connection in time"},
    {CURLE_BAD_CONTENT_ENCODING, -EIO, "the answer is not compressed as it says"},
    {CURLE_WEIRD_SERVER_REPLY, -EIO, "the answer is not HTTP"},
    {CURLE_UNSUPPORTED_PROTOCOL, -EIO, "the answer is not HTTP"},
    {CURLE_OUT_OF_MEMORY, -EIO, "no memory, or headers too large"},
};

/* Names in certificates are the server's choice. */
static void make_printable(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = '?';
}

static const char *without(const char *text, const char *prefix)
{
    size_t size = strlen(prefix);

    return strncmp(text, prefix, size) == 0 ? text + size : text;
}

static int of_connecting(const struct fence_http_failure *failure, struct fence_err *message)
{
    fence_err_set(message, 0, "connecting to %s: %s", failure->where,
                  failure->os_error ? strerror(failure->os_error) : failure->detail);
    if (failure->os_error == ECONNREFUSED || failure->os_error == ETIMEDOUT)
        return -failure->os_error;
    return -EIO;
}

/* An alert, such as for a client certificate that is missing, comes when the handshake is over. */
static int of_table(const struct fence_http_failure *failure, const char **ret_text)
{
    *ret_text = *failure->detail ? without(failure->detail, "SSL certificate problem: ")
                                 : curl_easy_strerror(failure->code);
    if (strstr(failure->detail, " alert "))
        return -EACCES;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(known); i++) {
        if (known[i].curl != failure->code)
            continue;
        if (known[i].text)
            *ret_text = known[i].text;
        return known[i].code;
    }
    return -EIO;
}

int fence_http_describe(const struct fence_http_failure *failure, struct fence_err *ret_message)
{
    const char *text;
    int code;

    if (failure->code == CURLE_COULDNT_CONNECT) {
        code = of_connecting(failure, ret_message);
    } else {
        code = of_table(failure, &text);
        /* a connection that breaks in the handshake says nothing of certificates */
        if (failure->code == CURLE_SSL_CONNECT_ERROR && failure->os_error != 0)
            code = -ECONNRESET;
        fence_err_set(
            ret_message, 0, "%s: %s%s", failure->where,
            failure->code == CURLE_PEER_FAILED_VERIFICATION ? "its certificate is refused: " : "",
            text);
    }
    make_printable(ret_message->text);
    return code;
}
