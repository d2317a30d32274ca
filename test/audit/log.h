/* SPDX-License-Identifier: Apache-2.0 */
/* A folder with an audit log in it, for tests. */
#pragma once

#include "lib/audit/verify.h"
#include "lib/audit/writer.h"

/* A new folder in /tmp, and a file in it that is not there yet. */
struct log_folder {
    char path[64];
    char file[80];
};

void log_folder_make(struct log_folder *folder);
/* With all that is in it. */
void log_folder_remove(struct log_folder *folder);

/* FILE.number, FILE itself for 0. */
const char *log_file(const struct log_folder *folder, unsigned int number);
char *log_read(const char *path, size_t *ret_size);
void log_write(const char *path, const char *data, size_t size);

extern const struct fence_audit_key no_key;
struct fence_audit_writer *log_open(const struct log_folder *folder,
                                    const struct fence_audit_key *key, size_t file_max);
/* Records of type "test" with a number and a text. */
void log_put(struct fence_audit_writer *writer, unsigned int count);

/* Of FILE.<files - 1> to FILE. */
struct fence_audit_verdict log_verify(const struct log_folder *folder, unsigned int files,
                                      const struct fence_audit_key *key);
