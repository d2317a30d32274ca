/* SPDX-License-Identifier: Apache-2.0 */
/* Ownership that is visible inside the function: cleanup attributes and TAKE macros. */
#pragma once

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FENCE_CLEANUP(function) __attribute__((cleanup(function)))

static inline void fence_free_p(void *p)
{
    free(*(void **)p);
    *(void **)p = NULL;
}

static inline void fence_close_p(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static inline void fence_fclose_p(FILE **file)
{
    if (*file)
        fclose(*file);
    *file = NULL;
}

#define FENCE_FREE   FENCE_CLEANUP(fence_free_p)
#define FENCE_CLOSE  FENCE_CLEANUP(fence_close_p)
#define FENCE_FCLOSE FENCE_CLEANUP(fence_fclose_p)

/* Hand ownership on: yields the value and leaves NULL or -1 behind. */
#define TAKE_PTR(p)                                                                                \
    ({                                                                                             \
        __typeof__(p) taken_ = (p);                                                                \
        (p) = NULL;                                                                                \
        taken_;                                                                                    \
    })
#define TAKE_FD(fd)                                                                                \
    ({                                                                                             \
        int taken_ = (fd);                                                                         \
        (fd) = -1;                                                                                 \
        taken_;                                                                                    \
    })

#define FENCE_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/*
 * Make room for one more element in a growing array. *items is reallocated to twice its size when
 * `count` has reached *capacity. Returns 0 or -ENOMEM, and then nothing has changed.
 */
int fence_array_grow(void **items, size_t *capacity, size_t count, size_t element_size);
#define FENCE_GROW(items, capacity, count)                                                         \
    ({                                                                                             \
        size_t capacity_ = (capacity);                                                             \
        int grown_ = fence_array_grow((void **)&(items), &capacity_, (count), sizeof(*(items)));   \
        /* which may be narrower than size_t */                                                    \
        (capacity) = (__typeof__(capacity))capacity_;                                              \
        /* what compilers and analysers cannot follow through the void pointer */                  \
        if (grown_ == 0 && !(items))                                                               \
            __builtin_unreachable();                                                               \
        grown_;                                                                                    \
    })
