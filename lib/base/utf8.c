/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/utf8.h"

size_t fence_utf8_next(const char *bytes, unsigned int *ret_point)
{
    static const unsigned int smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *text = (const unsigned char *)bytes;
    unsigned int point = text[0];
    size_t length = 1;

    if (text[0] >= 0xf0 && text[0] < 0xf8)
        length = 4, point &= 0x07;
    else if (text[0] >= 0xe0)
        length = 3, point &= 0x0f;
    else if (text[0] >= 0xc0)
        length = 2, point &= 0x1f;
    else if (text[0] >= 0x80)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
        point = point << 6 | (text[i] & 0x3f);
    }
    if (text[0] >= 0xf8 || point < smallest[length] || point > 0x10ffff ||
        (point >= 0xd800 && point < 0xe000))
        return 0;
    *ret_point = point;
    return length;
}

bool fence_utf8_is_harmless(unsigned int point)
{
    if (point < 0x20 || (point >= 0x7f && point < 0xa0))
        return false;
    return !(point == 0x61c || point == 0x200e || point == 0x200f ||
             (point >= 0x2028 && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069));
}
