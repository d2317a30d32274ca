/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/kube/token.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/file.h"
#include "lib/base/memory.h"

#define TOKEN_MAX (64u << 10)
#define LOOK_NS   60000000000ull

bool fence_token_is_valid(const char *text)
{
    if (*text == '\0')
        return false;
    for (; *text; text++)
        if (*text <= ' ' || *text > '~')
            return false;
    return true;
}

static void forget_text(struct fence_token *token)
{
    if (token->text)
        explicit_bzero(token->text, strlen(token->text));
    free(token->text);
    token->text = NULL;
}

int fence_token_init(struct fence_token *token, const char *text, const char *file,
                     struct fence_err *err)
{
    FENCE_FREE char *text_copy = NULL;
    FENCE_FREE char *file_copy = NULL;

    if (!file && text && !fence_token_is_valid(text))
        return fence_err_set(err, -EINVAL, "the token is empty or has characters that none has");
    text_copy = text && !file ? strdup(text) : NULL;
    file_copy = file ? strdup(file) : NULL;
    if ((text && !file && !text_copy) || (file && !file_copy))
        return fence_err_set(err, -ENOMEM, "no memory");
    *token = (struct fence_token){.file = TAKE_PTR(file_copy), .text = TAKE_PTR(text_copy)};
    return 0;
}

void fence_token_done(struct fence_token *token)
{
    forget_text(token);
    free(token->file);
    *token = (struct fence_token){0};
}

void fence_token_renew(struct fence_token *token)
{
    token->stale = true;
}

static char *trimmed(char *text)
{
    static const char blank[] = " \t\r\n";
    size_t size;

    text += strspn(text, blank);
    size = strlen(text);
    while (size > 0 && strchr(blank, text[size - 1]))
        size--;
    text[size] = '\0';
    return text;
}

/* `seen` was asked before the file is read: a change in between is seen at the next look. */
static int read_file(struct fence_token *token, const struct stat *seen, struct fence_err *err)
{
    FENCE_FREE char *data = NULL;
    char *copy = NULL;
    size_t size;
    int r = fence_file_read(AT_FDCWD, token->file, TOKEN_MAX, &data, &size, err);

    if (r < 0)
        return r;
    if (strlen(data) == size && fence_token_is_valid(trimmed(data)))
        copy = strdup(trimmed(data));
    else
        r = fence_err_set(err, -EINVAL, "%s: holds no token", token->file);
    explicit_bzero(data, size);
    if (!copy)
        return r < 0 ? r : fence_err_set(err, -ENOMEM, "no memory");
    forget_text(token);
    token->text = copy;
    token->seen = *seen;
    token->stale = false;
    return 0;
}

static bool has_changed(const struct stat *a, const struct stat *b)
{
    return a->st_dev != b->st_dev || a->st_ino != b->st_ino || a->st_size != b->st_size ||
           a->st_mtim.tv_sec != b->st_mtim.tv_sec || a->st_mtim.tv_nsec != b->st_mtim.tv_nsec;
}

int fence_token_get(struct fence_token *token, const char **ret_text, struct fence_err *err)
{
    uint64_t now = fence_clock_boot_ns();
    struct stat seen = {0};
    int r = 0;

    if (token->file && (!token->text || token->stale || now - token->looked_ns >= LOOK_NS)) {
        token->looked_ns = now;
        if (stat(token->file, &seen) < 0)
            r = fence_err_set(err, -errno, "%s: %s", token->file, strerror(errno));
        else if (!token->text || token->stale || has_changed(&seen, &token->seen))
            r = read_file(token, &seen, err);
    }
    if (r < 0 && !token->text)
        return r;
    *ret_text = token->text;
    return 0;
}
