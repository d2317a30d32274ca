/* SPDX-License-Identifier: Apache-2.0 */
/* Reading object files: one file, standard input, or a folder as the daemon reads it. */
#pragma once

#include "lib/base/err.h"
#include "lib/objects/doc.h"

/* What to do with the files. A negative return stops. */
struct ctl_file_visitor {
    int (*visit)(void *context, const char *path, const char *data, size_t size,
                 struct fence_err *err);
    /* One that cannot be read, and why; NULL = that ends it. */
    int (*unreadable)(void *context, const char *path, const char *why, struct fence_err *err);
    void *context;
};

/*
 * `path` is a file, "-" for standard input, or a folder: *.yaml, *.yml and *.json in it, in the
 * order of their names, not recursive, dot-files left out. The text of err names the file.
 */
int ctl_files_visit(const char *path, const struct ctl_file_visitor *visitor,
                    struct fence_err *err);
