/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/audit/chain.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <nettle/sha2.h>

#include "lib/base/file.h"
#include "lib/base/memory.h"

#define KEY_MIN 16u
#define KEY_MAX 4096u

#define NANOSECONDS 1000000000ull

#define HEX_SIZE (FENCE_AUDIT_HASH_TEXT - 1)

/* ,"prev":"<hex>","hash":"<hex>"} */
static const char prev_mark[] = ",\"prev\":\"";
static const char hash_mark[] = "\",\"hash\":\"";
static const char end_mark[] = "\"}";
#define MARK(text) (sizeof(text) - 1)
/* From the end of what is hashed, which has a closing brace of its own there. */
#define HASH_TAIL  (MARK(hash_mark) - 1 + HEX_SIZE + MARK(end_mark))
#define TAIL       (MARK(prev_mark) + HEX_SIZE + MARK(hash_mark) + HEX_SIZE + MARK(end_mark))

const char *fence_audit_algorithm(const struct fence_audit_key *key)
{
    return key->keyed ? "hmac-sha256" : "sha256";
}

/* NULL = nothing is wrong. */
static const char *wrong_with(const char *path, size_t size)
{
    struct stat info;

    if (stat(path, &info) < 0 || !fence_file_is_ours(&info) || info.st_mode & 077)
        return "must belong to the user who reads it, and nobody else may read it: chmod 600";
    if (size < KEY_MIN)
        return "is shorter than 16 bytes: head -c 32 /dev/urandom makes a good one";
    return NULL;
}

int fence_audit_key_read(const char *path, struct fence_audit_key *ret_key, struct fence_err *err)
{
    FENCE_FREE char *data = NULL;
    const char *wrong;
    size_t size = 0;
    int result = fence_file_read(AT_FDCWD, path, KEY_MAX, &data, &size, err);

    if (result < 0)
        return result;
    wrong = wrong_with(path, size);
    if (!wrong) {
        ret_key->keyed = true;
        hmac_sha256_set_key(&ret_key->hmac, size, (const uint8_t *)data);
    }
    explicit_bzero(data, size);
    return wrong ? fence_err_set(err, -EINVAL, "%s: the key file %s", path, wrong) : 0;
}

static void to_hex(const uint8_t *digest, char ret_hash[FENCE_AUDIT_HASH_TEXT])
{
    static const char hex[] = "0123456789abcdef";

    for (size_t i = 0; i < SHA256_DIGEST_SIZE; i++) {
        ret_hash[2 * i] = hex[digest[i] >> 4];
        ret_hash[2 * i + 1] = hex[digest[i] & 15];
    }
    ret_hash[HEX_SIZE] = '\0';
}

/* In two pieces, the second being the brace that the line has elsewhere. */
static void hash_line(const struct fence_audit_key *key, const char *data, size_t size,
                      char ret_hash[FENCE_AUDIT_HASH_TEXT])
{
    static const uint8_t brace[] = {'}'};
    uint8_t digest[SHA256_DIGEST_SIZE];

    if (key->keyed) {
        struct hmac_sha256_ctx hmac = key->hmac;

        hmac_sha256_update(&hmac, size, (const uint8_t *)data);
        hmac_sha256_update(&hmac, sizeof(brace), brace);
        hmac_sha256_digest(&hmac, sizeof(digest), digest);
    } else {
        struct sha256_ctx plain;

        sha256_init(&plain);
        sha256_update(&plain, size, (const uint8_t *)data);
        sha256_update(&plain, sizeof(brace), brace);
        sha256_digest(&plain, sizeof(digest), digest);
    }
    to_hex(digest, ret_hash);
}

void fence_audit_chain_init(struct fence_audit_chain *chain, const struct fence_audit_key *key)
{
    *chain = (struct fence_audit_chain){.key = *key, .second = -1};
    memset(chain->last, '0', HEX_SIZE);
}

static void put_time(struct fence_audit_chain *chain, struct fence_audit_text *text,
                     uint64_t wall_ns)
{
    const int64_t second = (int64_t)(wall_ns / NANOSECONDS);
    uint64_t rest = wall_ns % NANOSECONDS;
    char fraction[] = ".000000000Z";

    if (second != chain->second) {
        const time_t when = (time_t)second;
        struct tm parts;

        if (!gmtime_r(&when, &parts) ||
            !strftime(chain->day, sizeof(chain->day), "%Y-%m-%dT%H:%M:%S", &parts))
            snprintf(chain->day, sizeof(chain->day), "1970-01-01T00:00:00");
        chain->second = second;
    }
    for (size_t i = 9; rest; i--, rest /= 10)
        fraction[i] = (char)('0' + rest % 10);
    fence_audit_puts(text, chain->day);
    fence_audit_put(text, fraction, MARK(fraction));
}

void fence_audit_begin(struct fence_audit_chain *chain, struct fence_audit_text *text,
                       uint64_t wall_ns, const char *type)
{
    fence_audit_puts(text, "{\"seq\":");
    fence_audit_put_number(text, chain->seq + 1);
    fence_audit_puts(text, ",\"time\":\"");
    put_time(chain, text, wall_ns);
    fence_audit_puts(text, "\",\"type\":\"");
    fence_audit_puts(text, type);
    fence_audit_put(text, "\"", 1);
}

int fence_audit_seal(struct fence_audit_chain *chain, struct fence_audit_text *text)
{
    char hash[FENCE_AUDIT_HASH_TEXT];

    fence_audit_put(text, prev_mark, MARK(prev_mark));
    fence_audit_put(text, chain->last, HEX_SIZE);
    fence_audit_put(text, "\"", 1);
    if (text->full || text->capacity - text->size < HASH_TAIL + 1)
        return -EMSGSIZE;
    hash_line(&chain->key, text->data, text->size, hash);
    fence_audit_put(text, hash_mark + 1, MARK(hash_mark) - 1);
    fence_audit_put(text, hash, HEX_SIZE);
    fence_audit_put(text, end_mark, MARK(end_mark));
    fence_audit_put(text, "\n", 1);
    memcpy(chain->last, hash, sizeof(chain->last));
    chain->seq++;
    return 0;
}

/* ---- reading -------------------------------------------------------------------------------- */

/* What is left of a line that is being taken apart. */
struct rest {
    const char *at;
    const char *end;
};

static bool take(struct rest *rest, const char *mark, size_t size)
{
    if ((size_t)(rest->end - rest->at) < size || memcmp(rest->at, mark, size) != 0)
        return false;
    rest->at += size;
    return true;
}

static bool take_number(struct rest *rest, uint64_t *ret_number)
{
    const char *start = rest->at;
    uint64_t number = 0;

    while (rest->at < rest->end && *rest->at >= '0' && *rest->at <= '9') {
        if (number > (UINT64_MAX - 9) / 10)
            return false;
        number = number * 10 + (uint64_t)(*rest->at++ - '0');
    }
    *ret_number = number;
    return rest->at > start && (*start != '0' || rest->at == start + 1);
}

/* Up to the next quote, of these characters only; nothing in it is escaped. */
static bool take_word(struct rest *rest, const char *allowed, char *word, size_t size)
{
    size_t length = 0;

    while (rest->at < rest->end && *rest->at && strchr(allowed, *rest->at)) {
        if (length + 1 >= size)
            return false;
        word[length++] = *rest->at++;
    }
    word[length] = '\0';
    return length && take(rest, "\"", 1);
}

static bool take_hash(struct rest *rest, char hash[FENCE_AUDIT_HASH_TEXT])
{
    for (size_t i = 0; i < HEX_SIZE; i++) {
        if (rest->at == rest->end || !*rest->at || !strchr("0123456789abcdef", *rest->at))
            return false;
        hash[i] = *rest->at++;
    }
    hash[HEX_SIZE] = '\0';
    return true;
}

static bool take_head(struct rest *rest, struct fence_audit_line *line)
{
    static const char seq[] = "{\"seq\":", time[] = ",\"time\":\"", type[] = ",\"type\":\"";

    return take(rest, seq, MARK(seq)) && take_number(rest, &line->seq) && line->seq &&
           take(rest, time, MARK(time)) &&
           take_word(rest, "0123456789-:.TZ", line->time, sizeof(line->time)) &&
           take(rest, type, MARK(type)) &&
           take_word(rest, "abcdefghijklmnopqrstuvwxyz-", line->type, sizeof(line->type));
}

int fence_audit_line_parse(const char *text, size_t size, struct fence_audit_line *ret_line)
{
    struct fence_audit_line line = {.text = text, .size = size};
    struct rest rest = {text, text + size};

    if (size < TAIL || size >= FENCE_AUDIT_LINE_MAX || memchr(text, '\0', size) ||
        memchr(text, '\n', size) || !take_head(&rest, &line))
        return -EINVAL;
    if ((size_t)(rest.end - rest.at) < TAIL)
        return -EINVAL;
    rest.at = rest.end - TAIL;
    if (!take(&rest, prev_mark, MARK(prev_mark)) || !take_hash(&rest, line.prev) ||
        !take(&rest, hash_mark, MARK(hash_mark)) || !take_hash(&rest, line.hash) ||
        !take(&rest, end_mark, MARK(end_mark)))
        return -EINVAL;
    *ret_line = line;
    return 0;
}

bool fence_audit_line_holds(const struct fence_audit_line *line, const struct fence_audit_key *key)
{
    char hash[FENCE_AUDIT_HASH_TEXT];

    hash_line(key, line->text, line->size - HASH_TAIL, hash);
    return memcmp(hash, line->hash, HEX_SIZE) == 0;
}

uint64_t fence_audit_line_number(const struct fence_audit_line *line, const char *key)
{
    struct fence_audit_line head;
    struct rest rest = {line->text, line->text + line->size};
    uint64_t number;

    if (!take_head(&rest, &head) || !take(&rest, ",\"", 2) || !take(&rest, key, strlen(key)) ||
        !take(&rest, "\":", 2) || !take_number(&rest, &number))
        return 0;
    return number;
}
