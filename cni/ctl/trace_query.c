/* SPDX-License-Identifier: Apache-2.0 */
/* Questions: from the command line and from JSON lines. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "cni/ctl/trace.h"
#include "lib/base/memory.h"
#include "lib/base/names.h"

#define ECHO_REQUEST4 8
#define ECHO_REQUEST6 128

int trace_parse_family(const char *text, int *ret_family)
{
    static const struct {
        const char *text;
        int family;
    } names[] = {{"4", 4}, {"v4", 4}, {"IPv4", 4}, {"6", 6}, {"v6", 6}, {"IPv6", 6}};

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(names); i++) {
        if (strcmp(names[i].text, text) == 0) {
            *ret_family = names[i].family;
            return 0;
        }
    }
    return -EINVAL;
}

static int parse_number(const char *text, unsigned int max, unsigned int *ret_number)
{
    char *end = NULL;
    unsigned long number;

    if (*text < '0' || *text > '9')
        return -EINVAL;
    number = strtoul(text, &end, 10);
    if (*end || number > max)
        return -EINVAL;
    *ret_number = (unsigned int)number;
    return 0;
}

static bool is_icmp(unsigned int protocol)
{
    return protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;
}

/* An ICMP belongs to one family, and asks for an echo unless told otherwise. */
static void set_icmp(struct fence_query *query)
{
    query->family = query->protocol == IPPROTO_ICMP ? 4 : 6;
    query->port = (query->protocol == IPPROTO_ICMP ? ECHO_REQUEST4 : ECHO_REQUEST6) << 8;
}

static int parse_icmp(const char *type, const char *code, struct fence_query *query,
                      struct fence_err *err)
{
    unsigned int number = 0;

    set_icmp(query);
    if (code && !type)
        return fence_err_set(err, -EINVAL, "--code needs --type");
    if (type && parse_number(type, 255, &number) < 0)
        return fence_err_set(err, -EINVAL, "--type %s: it is 0 to 255", type);
    if (type)
        query->port = number << 8;
    if (code && parse_number(code, 255, &number) < 0)
        return fence_err_set(err, -EINVAL, "--code %s: it is 0 to 255", code);
    if (code)
        query->port |= number;
    return 0;
}

int trace_parse_target(const char *port, const char *type, const char *code,
                       struct fence_query *query, struct fence_err *err)
{
    const char *slash = strchr(port, '/');
    char number[16]; /* longer ones are none anyway */

    snprintf(number, sizeof(number), "%.*s", slash ? (int)(slash - port) : (int)strlen(port), port);
    if (!slash && strncmp(port, "ICMP", 4) == 0 &&
        fence_protocol_parse(port, &query->protocol) == 0)
        return parse_icmp(type, code, query, err);
    if (type || code)
        return fence_err_set(err, -EINVAL, "--type and --code go with --port ICMP or ICMPv6");
    query->protocol = IPPROTO_TCP;
    if (slash && fence_protocol_parse(slash + 1, &query->protocol) < 0)
        return fence_err_set(err, -EINVAL, "--port %s: the protocol is TCP, UDP, SCTP or a number",
                             port);
    if (is_icmp(query->protocol))
        return fence_err_set(err, -EINVAL, "--port %s: ICMP has --type and --code, not a port",
                             port);
    if (parse_number(number, 65535, &query->port) < 0)
        return fence_err_set(err, -EINVAL,
                             "--port %s: give a number from 0 to 65535, such as 80/TCP, or ICMP",
                             port);
    return 0;
}

/* An end must be there and be a text. */
static int json_end(const cJSON *object, const char *name, const char **ret_end,
                    struct fence_err *err)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, name);

    if (!cJSON_IsString(member) || !*member->valuestring)
        return fence_err_set(err, -EINVAL, "%s: NAMESPACE/POD or an address is needed", name);
    *ret_end = member->valuestring;
    return 0;
}

/* -ENOENT when it is absent. */
static int json_number(const cJSON *object, const char *name, unsigned int max,
                       unsigned int *ret_number, struct fence_err *err)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, name);
    double number;

    if (!member)
        return -ENOENT;
    number = cJSON_IsNumber(member) ? member->valuedouble : -1;
    if (!(number >= 0 && number <= max) || number != (double)(unsigned int)number)
        return fence_err_set(err, -EINVAL, "%s: it is a whole number from 0 to %u", name, max);
    *ret_number = (unsigned int)number;
    return 0;
}

static int json_protocol(const cJSON *object, struct fence_query *query, struct fence_err *err)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, "protocol");

    query->protocol = IPPROTO_TCP;
    if (!member)
        return 0;
    if (!cJSON_IsString(member))
        return fence_err_set(err, -EINVAL, "protocol: it is a text such as \"TCP\"");
    if (fence_protocol_parse(member->valuestring, &query->protocol) < 0)
        return fence_err_set(err, -EINVAL, "protocol: %s is none of TCP, UDP, SCTP, ICMP, ICMPv6",
                             member->valuestring);
    return 0;
}

/* Type and code mean nothing elsewhere, so that who gives them means something else. */
static int json_no_icmp(const cJSON *object, struct fence_err *err)
{
    static const char *const names[] = {"type", "code"};

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(names); i++)
        if (cJSON_GetObjectItemCaseSensitive(object, names[i]))
            return fence_err_set(err, -EINVAL, "%s: it goes with protocol ICMP or ICMPv6 only",
                                 names[i]);
    return 0;
}

static int json_icmp(const cJSON *object, struct fence_query *query, struct fence_err *err)
{
    unsigned int type = 0, code = 0;
    int r, r_code;

    set_icmp(query);
    r = json_number(object, "type", 255, &type, err);
    if (r == -EINVAL)
        return r;
    r_code = json_number(object, "code", 255, &code, err);
    if (r_code == -EINVAL)
        return r_code;
    if (r == -ENOENT && r_code == 0)
        return fence_err_set(err, -EINVAL, "code: it needs a type");
    if (r == 0)
        query->port = type << 8 | code;
    return 0;
}

static int json_family(const cJSON *object, struct fence_query *query, struct fence_err *err)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, "family");
    int given = query->family;

    if (!member)
        return 0;
    if (!cJSON_IsString(member) || trace_parse_family(member->valuestring, &query->family) < 0)
        return fence_err_set(err, -EINVAL, "family: it is \"IPv4\" or \"IPv6\"");
    if (given && given != query->family)
        return fence_err_set(err, -EINVAL, "family: this protocol is IPv%d only", given);
    return 0;
}

/* A key that is misspelt or given twice would ask something else than was meant. */
static int json_keys(const cJSON *object, struct fence_err *err)
{
    static const char *const names[] = {"from", "to", "port", "protocol", "family", "type", "code"};
    bool given[FENCE_ARRAY_SIZE(names)] = {false};
    const cJSON *member;

    cJSON_ArrayForEach(member, object)
    {
        size_t i = 0;

        while (i < FENCE_ARRAY_SIZE(names) && strcmp(names[i], member->string) != 0)
            i++;
        if (i == FENCE_ARRAY_SIZE(names))
            return fence_err_set(err, -EINVAL,
                                 "%.80s: unknown key; there are from, to, port, protocol, family, "
                                 "type and code",
                                 member->string);
        if (given[i])
            return fence_err_set(err, -EINVAL, "%s: it is given twice", names[i]);
        given[i] = true;
    }
    return 0;
}

int trace_parse_json(const cJSON *object, struct fence_query *ret_query, struct fence_err *err)
{
    struct fence_query query = {0};
    int r;

    if (!cJSON_IsObject(object))
        return fence_err_set(err, -EINVAL, "a query is a JSON object");
    r = json_keys(object, err);
    if (r == 0)
        r = json_end(object, "from", &query.from, err);
    if (r == 0)
        r = json_end(object, "to", &query.to, err);
    if (r == 0)
        r = json_protocol(object, &query, err);
    if (r == 0 && !is_icmp(query.protocol))
        r = json_no_icmp(object, err);
    if (r == 0 && is_icmp(query.protocol))
        r = json_icmp(object, &query, err);
    else if (r == 0)
        r = json_number(object, "port", 65535, &query.port, err);
    if (r == -ENOENT)
        return fence_err_set(err, -EINVAL, "port: a number from 0 to 65535 is needed");
    if (r == 0)
        r = json_family(object, &query, err);
    if (r == 0)
        *ret_query = query;
    return r;
}

/* What became of the lines so far. */
struct tally {
    bool failed;
    bool otherwise;
};

static cJSON *error_json(const char *text)
{
    cJSON *object = cJSON_CreateObject();

    cJSON_AddStringToObject(object, "error", text);
    return object;
}

/* cJSON would end the text there, and the question would be about another pod. */
static bool has_nul_escape(const char *line)
{
    for (const char *at = strchr(line, '\\'); at && at[1]; at = strchr(at + 2, '\\'))
        if (strncmp(at, "\\u0000", 6) == 0)
            return true;
    return false;
}

static cJSON *answer_line(const struct trace_source *source, const char *line, size_t size,
                          const char *expect, struct tally *tally)
{
    struct trace_answer answer = {0};
    struct fence_query query;
    struct fence_err err = {0};
    cJSON *object = NULL, *value = NULL;
    int r = -EINVAL;

    if (strlen(line) == size)
        object = cJSON_ParseWithOpts(line, NULL, 1);
    if (!object)
        fence_err_set(&err, r, "the line is no JSON");
    else if (has_nul_escape(line))
        fence_err_set(&err, r, "a text contains the character NUL (\\u0000)");
    else
        r = trace_parse_json(object, &query, &err);
    if (r == 0)
        r = trace_ask(source, &query, &answer, &err);
    if (r == 0)
        value = trace_json(&answer);
    cJSON_Delete(object);
    if (r < 0 || !value) {
        tally->failed = true;
        return error_json(r < 0 ? err.text : "out of memory");
    }
    if (expect && strcmp(expect, trace_verdict(&answer)) != 0)
        tally->otherwise = true;
    return value;
}

static bool is_blank(const char *line, size_t size)
{
    return strspn(line, " \t\r\n") == size;
}

int trace_queries(struct ctl *ctl, const struct trace_source *source, const char *path,
                  const char *expect)
{
    bool from_stdin = strcmp(path, "-") == 0;
    FENCE_FCLOSE FILE *file = from_stdin ? NULL : fopen(path, "re");
    FILE *in = from_stdin ? stdin : file;
    FENCE_FREE char *line = NULL;
    struct tally tally = {0};
    size_t capacity = 0;
    ssize_t size;

    if (!in)
        return ctl_fail(ctl, "cannot open %s: %s", path, strerror(errno));
    if (ctl->output.format == CTL_TEXT) /* one line an answer, whatever -o was left at */
        ctl->output.format = CTL_JSON;
    while ((size = getline(&line, &capacity, in)) >= 0) {
        cJSON *value;

        if (is_blank(line, (size_t)size))
            continue;
        value = answer_line(source, line, (size_t)size, expect, &tally);
        if (ctl_print_value(&ctl->output, value) < 0)
            tally.failed = true;
        cJSON_Delete(value);
        fflush(stdout); /* who asks line by line waits for it */
    }
    if (ferror(in))
        return ctl_fail(ctl, "cannot read %s: %s", path, strerror(errno));
    if (tally.failed)
        return CTL_FAILED;
    return tally.otherwise ? CTL_OTHERWISE : CTL_DONE;
}
