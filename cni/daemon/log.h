/* SPDX-License-Identifier: Apache-2.0 */
/* One line of text a message to standard error: level=info msg="...". */
#pragma once

enum fence_log_level {
    FENCE_LOG_ERROR,
    FENCE_LOG_WARNING,
    FENCE_LOG_INFO,
    FENCE_LOG_DEBUG,
    FENCE_LOG_LEVELS,
};

/* "error", "warning", "info", "debug"; -EINVAL. */
int fence_log_level_parse(const char *text, enum fence_log_level *ret_level);
void fence_log_set_level(enum fence_log_level level);

/* Control characters, directional marks, bytes that are no UTF-8 and quotes come out escaped. A
 * flood is cut, and its length reported. */
__attribute__((format(printf, 2, 3))) void fence_log(enum fence_log_level level, const char *format,
                                                     ...);
