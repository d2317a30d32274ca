/* SPDX-License-Identifier: Apache-2.0 */
#include "test/kube/recorded.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/memory.h"

#define FOLDER    FENCE_SOURCE_DIR "/../shared/fixtures/kubernetes"
#define FILE_MAX  ((size_t)1 << 20)
#define NAMES_MAX 512u

bool recorded_is_there(void)
{
    return access(FOLDER "/README.md", R_OK) == 0;
}

static _Noreturn void give_up(const char *what)
{
    perror(what);
    exit(1);
}

static char *read_all(FILE *file, const char *path, size_t *ret_size)
{
    char *text = file ? calloc(1, FILE_MAX) : NULL;

    if (!text)
        give_up(path);
    *ret_size = fread(text, 1, FILE_MAX - 1, file);
    return text;
}

char *recorded_text(const char *file, size_t *ret_size)
{
    char path[4096];
    FENCE_FCLOSE FILE *in = NULL;

    snprintf(path, sizeof(path), FOLDER "/%s", file);
    in = fopen(path, "re");
    return read_all(in, path, ret_size);
}

/* NAME.SUFFIX; NULL when there is none. */
static char *part_of(const char *name, const char *suffix, size_t *ret_size)
{
    char file[256];

    snprintf(file, sizeof(file), FOLDER "/%s.%s", name, suffix);
    if (access(file, R_OK) < 0)
        return NULL;
    snprintf(file, sizeof(file), "%s.%s", name, suffix);
    return recorded_text(file, ret_size);
}

char *recorded_body(const char *name, size_t *ret_size)
{
    char *body = part_of(name, "body", ret_size);

    if (!body)
        give_up(name);
    return body;
}

static void read_pieces(const char *text, struct recorded_pieces *pieces, long *ret_last_ms)
{
    long ms;
    size_t size;

    pieces->count = 0;
    for (; text && *text; text += strcspn(text, "\n"), text += *text == '\n') {
        if (sscanf(text, " %ld ms %zu", &ms, &size) != 2)
            continue;
        if (pieces->count == FENCE_ARRAY_SIZE(pieces->sizes))
            return;
        pieces->sizes[pieces->count++] = size;
        *ret_last_ms = ms;
    }
}

void recorded_pieces(const char *name, struct recorded_pieces *ret_pieces)
{
    size_t size;
    long last;
    FENCE_FREE char *text = part_of(name, "chunks", &size);

    read_pieces(text, ret_pieces, &last);
}

/* ---- all of an exchange -----------------------------------------------------------------------
 */

/* As curl printed it. */
static void read_transcript(const char *name, struct recording *recording)
{
    static const char last[] = "left intact\n\n";
    size_t size;
    FENCE_FREE char *text = recorded_text(name, &size);
    const char *status = strstr(text, "\n< HTTP/2 "), *body = strstr(text, last);

    if (!status || !body)
        give_up(name);
    recording->status = strtol(status + strlen("\n< HTTP/2 "), NULL, 10);
    recording->body = strdup(body + strlen(last));
    recording->size = strlen(recording->body);
    recording->lasted_ms = 1000; /* timeoutSeconds=1 */
}

/* By gzip, so that it is not what podfence links. */
static void decompress(const char *name, struct recording *recording)
{
    char command[4096];
    FILE *pipe;

    snprintf(command, sizeof(command), "gzip -dc '" FOLDER "/%s.body'", name);
    pipe = popen(command, "re");
    free(recording->body);
    recording->body = read_all(pipe, name, &recording->size);
    if (pclose(pipe) != 0)
        give_up(name);
    recording->pieces.count = 0; /* they are of the compressed bytes */
}

static void read_head(const char *name, struct recording *recording)
{
    size_t size;
    FENCE_FREE char *head = part_of(name, "hdr", &size);
    const char *after = head ? strstr(head, "\r\nRetry-After: ") : NULL;

    if (!head || sscanf(head, "HTTP/1.1 %ld", &recording->status) != 1)
        give_up(name);
    if (after)
        recording->retry_after_ms = 1000 * strtol(after + strlen("\r\nRetry-After: "), NULL, 10);
    if (strstr(head, "Content-Encoding: gzip"))
        decompress(name, recording);
}

static void read_times(const char *name, struct recording *recording)
{
    size_t size, total = 0;
    FENCE_FREE char *chunks = part_of(name, "chunks", &size);
    FENCE_FREE char *request = part_of(name, "req", &size);
    const char *timeout = request ? strstr(request, "timeoutSeconds=") : NULL;

    recording->lasted_ms = 60000; /* so long a server that was told to stop goes on */
    read_pieces(chunks, &recording->pieces, &recording->lasted_ms);
    recording->cut = chunks && !strstr(chunks, "complete");
    if (timeout)
        recording->lasted_ms = 1000 * strtol(timeout + strlen("timeoutSeconds="), NULL, 10);
    for (size_t i = 0; i < recording->pieces.count; i++)
        total += recording->pieces.sizes[i];
    if (total != recording->size) /* a body that was shortened */
        recording->pieces.count = 0;
}

void recording_read(const char *name, struct recording *ret_recording)
{
    *ret_recording = (struct recording){.retry_after_ms = -1};
    if (strstr(name, ".txt")) {
        read_transcript(name, ret_recording);
        return;
    }
    ret_recording->body = recorded_body(name, &ret_recording->size);
    read_times(name, ret_recording);
    read_head(name, ret_recording);
}

void recording_done(struct recording *recording)
{
    free(recording->body);
    recording->body = NULL;
}

/* ---- which there are --------------------------------------------------------------------------
 */

static void add_name(char **names, const char *name, size_t size)
{
    size_t count = 0;

    for (; names[count]; count++)
        if (strlen(names[count]) == size && strncmp(names[count], name, size) == 0)
            return;
    if (count < NAMES_MAX)
        names[count] = strndup(name, size);
}

static void add_files(char **names)
{
    DIR *folder = opendir(FOLDER);
    const struct dirent *entry;

    while (folder && (entry = readdir(folder))) {
        const char *dot = strrchr(entry->d_name, '.');

        if (dot && strcmp(dot, ".txt") == 0)
            add_name(names, entry->d_name, strlen(entry->d_name));
        else if (dot && (strcmp(dot, ".body") == 0 || strcmp(dot, ".req") == 0))
            add_name(names, entry->d_name, (size_t)(dot - entry->d_name));
    }
    if (folder)
        closedir(folder);
}

char **recorded_names(void)
{
    size_t size;
    FENCE_FREE char *index = recorded_text("INDEX.tsv", &size);
    char **names = calloc(NAMES_MAX + 1, sizeof(*names));

    if (!names)
        give_up("names");
    for (char *line = index; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        if (line != index || strncmp(line, "name\t", 5) != 0)
            add_name(names, line, strcspn(line, "\t\n"));
    }
    add_files(names);
    return names;
}

void recorded_names_free(char ***names)
{
    for (char **name = *names; name && *name; name++)
        free(*name);
    free(*names);
    *names = NULL;
}
