/* SPDX-License-Identifier: Apache-2.0 */
/* Reading object files: one file, standard input, or a folder as the daemon reads it. */
#pragma once

#include "lib/base/err.h"
#include "lib/objects/doc.h"

/* What to do with one file. A negative return stops. */
typedef int (*ctl_file_visit)(void *context, const char *path, const char *data, size_t size,
                              struct fence_err *err);

/*
 * `path` is a file, "-" for standard input, or a folder: *.yaml, *.yml and *.json in it, in the
 * order of their names, not recursive, dot-files left out. The text of err names the file.
 */
int ctl_files_visit(const char *path, ctl_file_visit visit, void *context, struct fence_err *err);
