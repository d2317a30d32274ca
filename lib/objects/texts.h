/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The canonical texts of many objects, one a line, compressed where that is worth it. They are read
 * when a file breaks and when the state is written, and are the larger part of a cluster otherwise.
 */
#pragma once

#include <stddef.h>

/* Zeroed = none. */
struct fence_texts {
    unsigned char *data;
    size_t size; /* of data */
    size_t full; /* uncompressed */
};

/* `lines` has `size` bytes, each line with its end. -ENOMEM. */
int fence_texts_make(const char *lines, size_t size, struct fence_texts *ret_texts);
void fence_texts_done(struct fence_texts *texts);

/* The lines as strings. */
struct fence_lines {
    char *text;
    const char **items;
    size_t count;
};

/* -ENOMEM. */
int fence_texts_read(const struct fence_texts *texts, struct fence_lines *ret_lines);
void fence_lines_done(struct fence_lines *lines);
