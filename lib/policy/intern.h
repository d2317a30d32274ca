/* SPDX-License-Identifier: Apache-2.0 */
/* A hash table from bytes to a number: how the compiler finds equal things. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fence_intern_slot;

/* Zeroed = empty. The bytes themselves are not kept. */
struct fence_intern {
    struct fence_intern_slot *slots;
    size_t size;
    size_t count;
    size_t used; /* that are not free: removed ones too */
};

/*
 * The number of these bytes. When they are new they get `number` and the answer is 1, else 0 with
 * the number that they had in *ret_number. -ENOMEM.
 */
int fence_intern_put(struct fence_intern *table, const void *data, size_t size, uint32_t number,
                     uint32_t *ret_number);
bool fence_intern_find(const struct fence_intern *table, const void *data, size_t size,
                       uint32_t *ret_number);
/* What is not there is fine. */
void fence_intern_remove(struct fence_intern *table, const void *data, size_t size);
/* Walk the numbers, in no order: start with *position = 0; false at the end. */
bool fence_intern_next(const struct fence_intern *table, size_t *position, uint32_t *ret_number);
size_t fence_intern_count(const struct fence_intern *table);
void fence_intern_done(struct fence_intern *table);
