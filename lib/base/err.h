/* SPDX-License-Identifier: Apache-2.0 */
/* Error text that travels up beside a negative errno. */
#pragma once

#define FENCE_ERR_MAX 1024

/*
 * Owned by the caller, usually on its stack: cannot leak and cannot fail. Functions that take one
 * accept NULL. The text is a sentence for the user, without a newline.
 */
struct fence_err {
    char text[FENCE_ERR_MAX];
};

/* Set the text and return `code`, so that a failing function can end with it. */
__attribute__((format(printf, 3, 4))) int fence_err_set(struct fence_err *err, int code,
                                                        const char *format, ...);

/* Put context in front: "<context>: <text>". Returns `code`. */
__attribute__((format(printf, 3, 4))) int fence_err_prefix(struct fence_err *err, int code,
                                                           const char *format, ...);
