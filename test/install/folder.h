/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of its own for each test case. */
#pragma once

#include <stdbool.h>
#include <time.h>

/* cmocka's setup and teardown; *state is the folder's path. */
int folder_setup(void **state);
int folder_teardown(void **state);

/* `name` in the folder; the text lives until the next but seven. */
const char *in_folder(const char *folder, const char *name);

void put_file(const char *folder, const char *name, const char *text);
/* A file that nobody is writing any more. */
void age_file(const char *folder, const char *name, time_t seconds);
bool has_file(const char *folder, const char *name);
/* The caller frees it. */
char *get_file(const char *folder, const char *name);
void expect_file(const char *folder, const char *name, const char *text);
/* All names in it, sorted, separated by blanks, folders with a slash. The caller frees it. */
char *list_folder(const char *folder);
void expect_names(const char *folder, const char *names);
