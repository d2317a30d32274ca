/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/memory.h"
#include "lib/base/utf8.h"

/* Lines that may come at once, and how many more a second. */
#define BURST      500u
#define PER_SECOND 20u

#define LINE_MAX_BYTES 2048

static const char *const level_names[] = {
    [FENCE_LOG_ERROR] = "error",
    [FENCE_LOG_WARNING] = "warning",
    [FENCE_LOG_INFO] = "info",
    [FENCE_LOG_DEBUG] = "debug",
};
_Static_assert(FENCE_ARRAY_SIZE(level_names) == FENCE_LOG_LEVELS, "a name for each level");

static enum fence_log_level threshold = FENCE_LOG_INFO;

int fence_log_level_parse(const char *text, enum fence_log_level *ret_level)
{
    for (unsigned int i = 0; i < FENCE_LOG_LEVELS; i++)
        if (!strcmp(text, level_names[i])) {
            *ret_level = (enum fence_log_level)i;
            return 0;
        }
    return -EINVAL;
}

void fence_log_set_level(enum fence_log_level level)
{
    threshold = level;
}

/* Token bucket over all lines. */
static bool may_print(unsigned int *ret_left_out)
{
    static unsigned int tokens = BURST, left_out;
    static time_t last;
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    if (last && now.tv_sec > last) {
        time_t gained = (now.tv_sec - last) * (time_t)PER_SECOND;

        tokens = gained > (time_t)(BURST - tokens) ? BURST : tokens + (unsigned int)gained;
    }
    last = now.tv_sec;
    if (!tokens) {
        left_out++;
        return false;
    }
    tokens--;
    *ret_left_out = left_out;
    left_out = 0;
    return true;
}

static void print_escaped(const char *text)
{
    while (*text) {
        unsigned int point = 0;
        const size_t length = fence_utf8_next(text, &point);
        const bool shows = length && fence_utf8_is_harmless(point);

        if (*text == '"' || *text == '\\')
            fputc('\\', stderr);
        if (shows)
            fwrite(text, 1, length, stderr);
        for (size_t i = 0; !shows && i < (length ? length : 1); i++)
            fprintf(stderr, "\\x%02x", (unsigned char)text[i]);
        text += length ? length : 1;
    }
}

void fence_log(enum fence_log_level level, const char *format, ...)
{
    char text[LINE_MAX_BYTES];
    unsigned int left_out;
    va_list args;

    if (level > threshold || !may_print(&left_out))
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (left_out)
        fprintf(stderr, "level=warning msg=\"%u lines before this one were left out\"\n", left_out);
    fprintf(stderr, "level=%s msg=\"", level_names[level]);
    print_escaped(text);
    fputs("\"\n", stderr);
    fflush(stderr);
}
