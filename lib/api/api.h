/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's socket: AF_UNIX SOCK_SEQPACKET, mode 0600, one JSON object a message. What a
 * message may hold is in lib/api/README.md. A client never waits without a deadline.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include <cjson/cJSON.h>

#include "lib/base/err.h"

#define FENCE_DEFAULT_SOCKET  "/run/podfence/podfenced.sock"
#define FENCE_API_MESSAGE_MAX (192u << 10)

/* Beside the socket: the pods that were let start unenforced, a file each of at most so many bytes.
 */
#define FENCE_UNENFORCED_FOLDER "unenforced"
#define FENCE_UNENFORCED_MAX    65536u

/* Listening, non-blocking descriptor. A stale socket file is replaced; one that answers is not
 * (-EADDRINUSE: another daemon runs). Makes the folder (0700). */
int fence_api_listen(const char *path, struct fence_err *err);

/* Let a group use the listening socket too: mode 0660, and way through its folder where that is
 * closed to all groups. The daemon looks at who comes all the same. */
int fence_api_share(const char *path, gid_t group, struct fence_err *err);

/* Connected, non-blocking descriptor; -ECONNREFUSED or -ENOENT when no daemon is there, -EAGAIN
 * when it is stuck. */
int fence_api_connect(const char *path, struct fence_err *err);

/* Send without blocking; -EAGAIN when the other side does not read, -EMSGSIZE when the message is
 * larger than FENCE_API_MESSAGE_MAX. Raises no SIGPIPE. */
int fence_api_send(int fd, const cJSON *message, struct fence_err *err);

/* The same for a message that is already text. */
int fence_api_send_text(int fd, const char *text, size_t size, struct fence_err *err);

/* Wait at most timeout_ms (-1: for ever, 0: not) for one message. -ETIMEDOUT, -ECONNRESET at its
 * end, -EBADMSG when it is no JSON object. The caller deletes *ret_message. */
int fence_api_receive(int fd, int timeout_ms, cJSON **ret_message, struct fence_err *err);

/* The same in two steps, for who wants the text as it came. A NUL follows it; the caller frees. */
int fence_api_receive_text(int fd, int timeout_ms, char **ret_text, size_t *ret_size,
                           struct fence_err *err);
int fence_api_parse(const char *text, size_t size, cJSON **ret_message, struct fence_err *err);

/*
 * Send a request and receive its whole answer: the parts of an answer that comes in several
 * messages ("more") are joined to one object, list behind list. timeout_ms is for all of it.
 * An answer with "ok": false is returned like any other.
 */
int fence_api_request(int fd, const cJSON *request, int timeout_ms, cJSON **ret_answer,
                      struct fence_err *err);
