/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of a real API server: ../shared/fixtures/kubernetes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Sizes of the pieces that one answer came in. */
struct recorded_pieces {
    size_t sizes[64];
    size_t count;
};

/* False when the folder is not there: the test exits with 77, with CI=true it fails. */
bool recorded_is_there(void);
/* NAME.body; a new string, ended by NUL. The test ends when it is not there. */
char *recorded_body(const char *name, size_t *ret_size);
/* NAME.chunks; none when there is no such file. */
void recorded_pieces(const char *name, struct recorded_pieces *ret_pieces);

/* All of an exchange. */
struct recording {
    char *body; /* decompressed, ended by NUL */
    size_t size;
    long status;
    long retry_after_ms;           /* -1: not said */
    struct recorded_pieces pieces; /* all of the body, or none */
    bool cut;                      /* the server was killed */
    long lasted_ms;
};
/* A name of INDEX.tsv, also "http2-list.txt" and "http2-watch.txt". Undo with recording_done. The
 * test ends when it is not there. */
void recording_read(const char *name, struct recording *ret_recording);
void recording_done(struct recording *recording);

/* The first column of INDEX.tsv, and what else is in the folder. The caller's, ended by NULL. */
char **recorded_names(void);
void recorded_names_free(char ***names);
/* Another file of the folder, the caller's. */
char *recorded_text(const char *file, size_t *ret_size);
