/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/plugin/log.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/base/memory.h"
#include "lib/base/names.h"

#define LINE_MAX_ 2048

static enum fence_log_level limit = FENCE_LOG_INFO;

static const char *const names[] = {
    [FENCE_LOG_ERROR] = "error",
    [FENCE_LOG_WARNING] = "warning",
    [FENCE_LOG_INFO] = "info",
    [FENCE_LOG_DEBUG] = "debug",
};

void fence_log_level_set(enum fence_log_level level)
{
    limit = level;
}

void fence_log(enum fence_log_level level, const char *format, ...)
{
    struct pollfd stream = {.fd = STDERR_FILENO, .events = POLLOUT};
    FENCE_FREE char *line = NULL;
    char text[LINE_MAX_];
    size_t size = 0;
    va_list args;
    FILE *out;

    if (level > limit)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    out = open_memstream(&line, &size);
    if (!out)
        return;
    fprintf(out, "podfence: %s: ", names[level]);
    fence_print_safe(out, text);
    fputc('\n', out);
    if (fclose(out) != 0)
        return;
    /* a pipe that is ready takes a page at once; whoever does not read gets nothing */
    size = size > LINE_MAX_ ? LINE_MAX_ : size;
    if (poll(&stream, 1, 0) == 1 && (stream.revents & POLLOUT) &&
        write(STDERR_FILENO, line, size) < 0)
        return;
}
