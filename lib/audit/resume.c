/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/audit/resume.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/memory.h"

/* A torn line, and the whole one before it. */
#define TAIL_MAX (2 * FENCE_AUDIT_LINE_MAX)

/* All of it, however many calls that takes. */
static ssize_t read_at(int fd, char *data, size_t size, off_t offset)
{
    size_t got = 0;

    while (got < size) {
        ssize_t more = pread(fd, data + got, size - got, offset + (off_t)got);

        if (more < 0 && errno != EINTR)
            return -errno;
        if (more == 0)
            break;
        got += more > 0 ? (size_t)more : 0;
    }
    return (ssize_t)got;
}

static void look_at_last(const char *tail, size_t whole, struct fence_audit_end *end)
{
    const char *before = memrchr(tail, '\n', whole - 1);
    const char *start = before ? before + 1 : tail;
    struct fence_audit_line line;

    if (fence_audit_line_parse(start, (size_t)(tail + whole - 1 - start), &line) < 0) {
        end->strange = true;
        return;
    }
    end->seq = line.seq;
    memcpy(end->hash, line.hash, sizeof(end->hash));
}

static void look_at_tail(const char *tail, size_t size, off_t start, struct fence_audit_end *end)
{
    const char *newline = memrchr(tail, '\n', size);
    size_t whole = newline ? (size_t)(newline - tail) + 1 : 0;
    size_t kept;

    end->torn = size - whole;
    end->whole = start + (off_t)whole;
    kept = end->torn < sizeof(end->torn_text) ? end->torn : sizeof(end->torn_text) - 1;
    memcpy(end->torn_text, tail + whole, kept);
    end->torn_text[kept] = '\0';
    if (whole)
        look_at_last(tail, whole, end);
    else
        end->strange = start > 0; /* a line that is longer than any of ours */
}

static bool says_keyed(int fd)
{
    char head[512];
    ssize_t got = read_at(fd, head, sizeof(head), 0);

    return got > 0 && memmem(head, (size_t)got, "\"hmac-sha256\"", strlen("\"hmac-sha256\""));
}

int fence_audit_end_read(int fd, struct fence_audit_end *ret_end)
{
    FENCE_FREE char *tail = malloc(TAIL_MAX);
    struct stat info;
    off_t start;
    ssize_t got;

    if (!tail)
        return -ENOMEM;
    if (fstat(fd, &info) < 0)
        return -errno;
    start = info.st_size > (off_t)TAIL_MAX ? info.st_size - (off_t)TAIL_MAX : 0;
    got = read_at(fd, tail, TAIL_MAX, start);
    if (got < 0)
        return (int)got;
    *ret_end = (struct fence_audit_end){.empty = got == 0};
    if (got > 0)
        look_at_tail(tail, (size_t)got, start, ret_end);
    ret_end->keyed = says_keyed(fd);
    return 0;
}
