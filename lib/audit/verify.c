/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/audit/verify.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/memory.h"

static const char *const break_names[] = {
    [FENCE_AUDIT_INTACT] = "intact",
    [FENCE_AUDIT_MALFORMED] = "malformed",
    [FENCE_AUDIT_CHANGED] = "changed",
    [FENCE_AUDIT_MISSING] = "missing",
    [FENCE_AUDIT_NO_BEGINNING] = "no-beginning",
    [FENCE_AUDIT_NOT_KEYED] = "not-keyed",
    [FENCE_AUDIT_CUT_OFF] = "cut-off",
};
_Static_assert(FENCE_ARRAY_SIZE(break_names) == FENCE_AUDIT_BREAKS, "a name for each break");

static const char *const break_texts[] = {
    [FENCE_AUDIT_INTACT] = "the chain holds",
    [FENCE_AUDIT_MALFORMED] = "this line is no record of an audit log",
    [FENCE_AUDIT_CHANGED] =
        "this record was changed, or the key is another: its hash is not that of its text",
    [FENCE_AUDIT_MISSING] =
        "records before this one are missing, or were others when it was written",
    [FENCE_AUDIT_NO_BEGINNING] =
        "the first records of this file are missing: it does not begin with its record \"file\"",
    [FENCE_AUDIT_NOT_KEYED] =
        "this file is not sealed with a key, so that anybody may have made it",
    [FENCE_AUDIT_CUT_OFF] = "this line ends in the middle, and another file follows",
};
_Static_assert(FENCE_ARRAY_SIZE(break_texts) == FENCE_AUDIT_BREAKS, "a text for each break");

const char *fence_audit_break_name(enum fence_audit_break kind)
{
    return break_names[kind];
}

const char *fence_audit_break_text(enum fence_audit_break kind)
{
    return break_texts[kind];
}

/* What begins a file has to say how it is sealed. */
static bool begins_file(const struct fence_audit_line *line, const struct fence_audit_key *key)
{
    char member[64];

    snprintf(member, sizeof(member), ",\"algorithm\":\"%s\"", fence_audit_algorithm(key));
    return memmem(line->text, line->size, member, strlen(member)) != NULL;
}

static enum fence_audit_break judge(const struct fence_audit_verify *verify,
                                    const struct fence_audit_line *line, bool first)
{
    static const struct fence_audit_key none = {.keyed = false};
    const struct fence_audit_verdict *verdict = &verify->verdict;

    if (first && strcmp(line->type, "file") != 0)
        return FENCE_AUDIT_NO_BEGINNING;
    if (first && verify->key->keyed && begins_file(line, &none))
        return FENCE_AUDIT_NOT_KEYED;
    if (!fence_audit_line_holds(line, verify->key))
        return FENCE_AUDIT_CHANGED;
    if (!verdict->records) /* the first that there is: zeros before it, if it is the first of all */
        return line->seq == 1 && strspn(line->prev, "0") + 1 != sizeof(line->prev)
                   ? FENCE_AUDIT_MISSING
                   : FENCE_AUDIT_INTACT;
    if (line->seq != verdict->last_seq + 1 || strcmp(line->prev, verify->prev) != 0)
        return FENCE_AUDIT_MISSING;
    return FENCE_AUDIT_INTACT;
}

static void count(struct fence_audit_verify *verify, const struct fence_audit_line *line)
{
    struct fence_audit_verdict *verdict = &verify->verdict;

    if (!strcmp(line->type, "torn"))
        verdict->torn++;
    if (!strcmp(line->type, "gap")) {
        verdict->gaps++;
        verdict->missing += fence_audit_line_number(line, "missing");
    }
    if (!strcmp(line->type, "start")) {
        verdict->unclean += verify->running;
        verify->running = true;
    }
    if (!strcmp(line->type, "stop"))
        verify->running = false;
}

static void accept(struct fence_audit_verify *verify, const struct fence_audit_line *line)
{
    struct fence_audit_verdict *verdict = &verify->verdict;

    if (!verdict->records++) {
        verdict->first_seq = line->seq;
        memcpy(verdict->from, line->time, sizeof(verdict->from));
    }
    verdict->last_seq = line->seq;
    memcpy(verdict->to, line->time, sizeof(verdict->to));
    memcpy(verdict->last_hash, line->hash, sizeof(verdict->last_hash));
    memcpy(verify->prev, line->hash, sizeof(verify->prev));
    count(verify, line);
    if (verify->visit)
        verify->visit(verify->context, line);
}

/* A line of `size` bytes with its newline, if it has one. */
static int check_line(struct fence_audit_verify *verify, size_t size, bool first,
                      struct fence_err *err)
{
    static const struct fence_audit_key keyed = {.keyed = true};
    struct fence_audit_verdict *verdict = &verify->verdict;
    struct fence_audit_line line;

    if (fence_audit_line_parse(verify->line, size - 1, &line) < 0) {
        verdict->kind = FENCE_AUDIT_MALFORMED;
        return 0;
    }
    if (first && !verify->key->keyed && !strcmp(line.type, "file") && begins_file(&line, &keyed))
        return fence_err_set(err, -ENOKEY, "it is sealed with a key: give --key FILE");
    verdict->kind = judge(verify, &line, first);
    if (verdict->kind == FENCE_AUDIT_INTACT)
        accept(verify, &line);
    return 0;
}

/* A line with its newline, or as much as there is of it; longer ones in pieces. 0 = the end. */
static size_t read_line(FILE *file, char *line, size_t size)
{
    size_t used = 0;
    int c = 0;

    while (used < size && c != '\n' && (c = getc_unlocked(file)) != EOF)
        line[used++] = (char)c;
    return used;
}

int fence_audit_verify_file(struct fence_audit_verify *verify, FILE *file, bool last,
                            struct fence_err *err)
{
    struct fence_audit_verdict *verdict = &verify->verdict;
    size_t size = 0;
    int result = 0;

    if (verdict->kind != FENCE_AUDIT_INTACT)
        return 0;
    verdict->file = verdict->files++;
    verdict->line = 0;
    while (result == 0 && verdict->kind == FENCE_AUDIT_INTACT &&
           (size = read_line(file, verify->line, sizeof(verify->line))) > 0) {
        verdict->line++;
        if (verify->line[size - 1] == '\n' || size == sizeof(verify->line))
            result = check_line(verify, size, verdict->line == 1, err);
        else if (last)
            verdict->unfinished = true;
        else
            verdict->kind = FENCE_AUDIT_CUT_OFF;
    }
    if (result == 0 && ferror(file))
        return fence_err_set(err, -EIO, "cannot be read: %s", strerror(errno));
    return result;
}

uint64_t fence_audit_first_seq(FILE *file)
{
    char head[FENCE_AUDIT_LINE_MAX];
    struct fence_audit_line line;
    size_t size = read_line(file, head, sizeof(head));
    uint64_t seq = 0;

    if (size > 0 && fence_audit_line_parse(head, size - 1, &line) == 0)
        seq = line.seq;
    rewind(file);
    return seq;
}
