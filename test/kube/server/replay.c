/* SPDX-License-Identifier: Apache-2.0 */
#include "test/kube/server/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/base/file.h"
#include "lib/base/memory.h"
#include "test/kube/server/answer.h"

#define FILE_MAX ((size_t)64 << 20)

struct piece {
    long ms; /* since the header */
    size_t size;
};

struct recording {
    struct exchange *exchange;
    char *head;
    char *body;
    size_t size;
    struct piece *pieces; /* none: it had a length */
    size_t count, capacity;
    bool cut; /* the connection ended before the body */
    int64_t begun_ms;
    size_t piece; /* that is being sent */
    size_t sent;  /* of it */
};

static void recording_free(void *context)
{
    struct recording *recording = context;

    free(recording->head);
    free(recording->body);
    free(recording->pieces);
    free(recording);
}

static int read_file(const char *fixtures, const char *name, const char *suffix, char **ret_data,
                     size_t *ret_size)
{
    FENCE_FREE char *path = NULL;
    struct fence_err err;

    if (!fixtures || strchr(name, '/') || asprintf(&path, "%s/%s.%s", fixtures, name, suffix) < 0) {
        path = NULL;
        return -EINVAL;
    }
    return fence_file_read(AT_FDCWD, path, FILE_MAX, ret_data, ret_size, &err);
}

int replay_request(const char *fixtures, const char *name, char **ret_line, struct fence_err *err)
{
    FENCE_FREE char *data = NULL;
    size_t size;
    char *end;

    if (read_file(fixtures, name, "req", &data, &size) < 0)
        return fence_err_set(err, -EINVAL, "there is no recording %s", name);
    end = strstr(data, " HTTP/1.1");
    if (!end)
        return fence_err_set(err, -EINVAL, "%s.req is no request", name);
    *end = '\0';
    *ret_line = TAKE_PTR(data);
    return 0;
}

/* Lines such as "   4102 ms  167929 of 202555 bytes", then "end: ...". */
static int read_chunks(struct recording *recording, char *text)
{
    char *rest = NULL;
    size_t total = 0;

    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        struct piece piece;

        if (!strncmp(line, "end:", 4)) {
            recording->cut = !strstr(line, "complete");
            continue;
        }
        if (sscanf(line, "%ld ms %zu", &piece.ms, &piece.size) != 2)
            continue;
        if (FENCE_GROW(recording->pieces, recording->capacity, recording->count) < 0)
            return -ENOMEM;
        recording->pieces[recording->count++] = piece;
        total += piece.size;
    }
    if (total == recording->size || !recording->count)
        return 0;
    /* a body that was shortened: in one piece, at the last one's time */
    recording->pieces[0] =
        (struct piece){recording->pieces[recording->count - 1].ms, recording->size};
    recording->count = 1;
    return 0;
}

static struct recording *recording_read(struct exchange *exchange, bool *ret_chunked)
{
    struct recording *recording = calloc(1, sizeof(*recording));
    const char *fixtures = exchange->server->fixtures, *name = exchange->effect.replay;
    FENCE_FREE char *chunks = NULL;
    size_t size;

    if (!recording)
        return NULL;
    recording->exchange = exchange;
    if (read_file(fixtures, name, "hdr", &recording->head, &size) < 0 ||
        read_file(fixtures, name, "body", &recording->body, &recording->size) < 0) {
        recording_free(recording);
        return NULL;
    }
    *ret_chunked = read_file(fixtures, name, "chunks", &chunks, &size) == 0;
    if (*ret_chunked && read_chunks(recording, chunks) < 0) {
        recording_free(recording);
        return NULL;
    }
    return recording;
}

static bool wait_for_piece(const struct recording *recording)
{
    const struct piece *piece = &recording->pieces[recording->piece];
    const int64_t due =
        recording->begun_ms + (int64_t)((double)piece->ms * recording->exchange->effect.scale);
    const int64_t now = now_ms();

    return due <= now || exchange_wait(recording->exchange, (long)(due - now), -1) == WOKEN_TIMEOUT;
}

static ssize_t read_recording(void *context, uint64_t position, char *buffer, size_t max)
{
    struct recording *recording = context;
    const long cut_after = recording->exchange->effect.cut_after;
    size_t size;

    if (recording->piece == recording->count)
        return recording->cut ? MHD_CONTENT_READER_END_WITH_ERROR
                              : MHD_CONTENT_READER_END_OF_STREAM;
    if (recording->sent == 0 && !wait_for_piece(recording))
        return MHD_CONTENT_READER_END_WITH_ERROR;
    size = recording->pieces[recording->piece].size - recording->sent;
    if (size > max)
        size = max;
    if (cut_after >= 0 && position + size > (uint64_t)cut_after)
        size = (uint64_t)cut_after > position ? (size_t)((uint64_t)cut_after - position) : 0;
    if (!size)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    memcpy(buffer, recording->body + position, size);
    answer_count(recording->exchange, size);
    recording->sent += size;
    if (recording->sent == recording->pieces[recording->piece].size) {
        recording->piece++;
        recording->sent = 0;
    }
    return (ssize_t)size;
}

/* Those that libmicrohttpd makes itself are left out. */
static void add_header_fields(struct MHD_Response *response, const char *head)
{
    static const char *const own[] = {"Date", "Content-Length", "Transfer-Encoding", "Connection"};
    FENCE_FREE char *copy = strdup(head);
    char *rest = NULL;

    if (!copy || !strtok_r(copy, "\r\n", &rest))
        return;
    for (char *line = strtok_r(NULL, "\r\n", &rest); line; line = strtok_r(NULL, "\r\n", &rest)) {
        char *colon = strstr(line, ": ");
        bool is_own = false;

        if (!colon)
            continue;
        *colon = '\0';
        for (size_t i = 0; i < FENCE_ARRAY_SIZE(own); i++)
            is_own = is_own || !strcasecmp(line, own[i]);
        if (!is_own)
            (void)MHD_add_response_header(response, line, colon + 2);
    }
}

enum MHD_Result replay_answer(struct exchange *exchange)
{
    bool chunked = false;
    struct recording *recording = recording_read(exchange, &chunked);
    struct MHD_Response *response;
    unsigned int status = 0;

    if (!recording || sscanf(recording->head, "HTTP/1.1 %u", &status) != 1) {
        if (recording)
            recording_free(recording);
        return answer_plain(exchange, 500, "no such recording");
    }
    if (!chunked && recording->size) { /* one piece, whose length is known */
        recording->pieces = calloc(1, sizeof(*recording->pieces));
        if (recording->pieces) {
            recording->pieces[0] = (struct piece){0, recording->size};
            recording->count = 1;
        }
    }
    recording->begun_ms = now_ms();
    response = MHD_create_response_from_callback(chunked ? MHD_SIZE_UNKNOWN : recording->size,
                                                 65536, read_recording, recording, recording_free);
    if (!response) {
        recording_free(recording);
        return MHD_NO;
    }
    add_header_fields(response, recording->head);
    return answer_queue(exchange, status, response);
}
