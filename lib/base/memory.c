/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/memory.h"

#include <errno.h>
#include <stdint.h>

int fence_array_grow(void **items, size_t *capacity, size_t count, size_t element_size)
{
    size_t wanted = *capacity ? *capacity * 2 : 4;
    void *grown;

    if (count < *capacity)
        return 0;
    if (wanted > SIZE_MAX / element_size)
        return -ENOMEM;
    grown = realloc(*items, wanted * element_size);
    if (!grown)
        return -ENOMEM;
    *items = grown;
    *capacity = wanted;
    return 0;
}
