/* SPDX-License-Identifier: Apache-2.0 */
/* Running the built podfencectl. */
#pragma once

#define RUN_ARGUMENTS 24

struct run {
    int status; /* exit status; 1000 + the signal when it was killed */
    char *out;
    char *err;
};

/* `arguments` ends with NULL; `input` (may be NULL) is its standard input. Fails the test when it
 * cannot be run. */
void run_ctl(const char *const arguments[], const char *input, struct run *ret_run);
void run_done(struct run *run);

/* A new temporary folder; a file in it; all of it gone. */
void folder_make(char ret_path[64]);
void folder_write(const char *folder, const char *name, const char *text);
void folder_remove(const char *folder);
