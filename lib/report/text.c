/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/report/text.h"

#include <string.h>

#include "lib/base/utf8.h"

void fence_report_copy(char *to, size_t size, const char *from)
{
    size_t used = 0, length;
    unsigned int point;

    while (*from) {
        length = fence_utf8_next(from, &point);
        if (used + (length ? length : 1) >= size)
            break;
        if (length)
            memcpy(to + used, from, length);
        else
            to[used] = '?';
        used += length ? length : 1;
        from += length ? length : 1;
    }
    to[used] = '\0';
}
