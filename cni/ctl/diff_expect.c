/* SPDX-License-Identifier: Apache-2.0 */
/* Lines such as "deny app=web -> app=db 5432/TCP" that must hold. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "cni/ctl/diff.h"
#include "lib/base/file.h"
#include "lib/base/memory.h"
#include "lib/base/names.h"

#define MAX_BYTES (1 << 20)
#define MAX_TERMS 32
#define MAX_WORDS 6

struct term {
    const char *key;
    const char *value; /* NULL: the key alone */
    bool negated;
};

/* Workloads by namespace and labels; or one address. */
struct end {
    const char *namespace_name; /* NULL = any */
    struct term terms[MAX_TERMS];
    size_t count;
    struct diff_workload outside; /* .address "" = none */
};

struct expectation {
    bool allow;
    struct end from;
    struct end to;
    bool exact; /* a port was given */
    struct fence_query target;
};

/* ---- reading a line ------------------------------------------------------------------------- */

/* "KEY=VALUE", "KEY!=VALUE", "KEY", "!KEY"; cuts the text up. */
static int parse_term(char *text, struct term *ret_term, struct fence_err *err)
{
    struct fence_err why;
    struct term term = {0};
    char *equals;

    term.negated = *text == '!';
    text += term.negated;
    equals = strchr(text, '=');
    if (equals && term.negated)
        return fence_err_set(err, -EINVAL, "!%s: write KEY!=VALUE or !KEY", text);
    if (equals) {
        term.value = equals + 1 + (equals[1] == '=');
        term.negated = equals > text && equals[-1] == '!';
        equals[term.negated ? -1 : 0] = '\0';
    }
    term.key = text;
    if (fence_label_key_check(term.key, &why) < 0)
        return fence_err_set(err, -EINVAL, "label '%s': %s", term.key, why.text);
    if (term.value && fence_label_value_check(term.value, &why) < 0)
        return fence_err_set(err, -EINVAL, "label %s: %s", term.key, why.text);
    *ret_term = term;
    return 0;
}

/* "NAMESPACE:TERM,TERM", "NAMESPACE:*", "TERM,TERM", "*", or an address. */
static int parse_end(char *text, struct end *ret_end, struct fence_err *err)
{
    struct fence_addr addr;
    char *colon, *rest = text, *word;
    int r = 0;

    *ret_end = (struct end){0};
    if (fence_addr_parse(text, &addr) == 0) {
        fence_addr_format(&addr, ret_end->outside.address);
        return 0;
    }
    colon = strchr(text, ':');
    if (colon) {
        *colon = '\0';
        ret_end->namespace_name = text;
        rest = colon + 1;
    }
    if (strcmp(rest, "*") == 0)
        return 0;
    while (r == 0 && (word = strsep(&rest, ","))) {
        if (ret_end->count == MAX_TERMS)
            return fence_err_set(err, -EINVAL, "more than %d labels", MAX_TERMS);
        r = parse_term(word, &ret_end->terms[ret_end->count++], err);
    }
    return r;
}

static size_t split(char *line, char *ret_words[MAX_WORDS])
{
    size_t count = 0;
    char *word;

    while (count < MAX_WORDS && (word = strsep(&line, " \t\r")))
        if (*word)
            ret_words[count++] = word;
    return count;
}

static int parse_line(char *line, struct expectation *ret_expectation, struct fence_err *err)
{
    char *words[MAX_WORDS] = {0};
    size_t count = split(line, words);
    bool allow = count && strcmp(words[0], "allow") == 0;
    int r;

    *ret_expectation = (struct expectation){.allow = allow, .exact = count == 5};
    if (count < 4 || count > 5 || (!allow && strcmp(words[0], "deny") != 0) ||
        strcmp(words[2], "->") != 0)
        return fence_err_set(err, -EINVAL,
                             "write 'deny FROM -> TO' or 'allow FROM -> TO', and PORT/PROTOCOL "
                             "behind it for one port: allow app=web -> app=db 5432/TCP");
    r = parse_end(words[1], &ret_expectation->from, err);
    if (r == 0)
        r = parse_end(words[3], &ret_expectation->to, err);
    if (r == 0 && count == 5)
        r = trace_parse_target(words[4], NULL, NULL, &ret_expectation->target, err);
    return r;
}

/* ---- whether it holds ----------------------------------------------------------------------- */

/* What one pair of workloads says to it. */
struct finding {
    const struct expectation *expectation;
    bool asked;
    bool passed;           /* some port, or the one that was given, is allowed in all families */
    bool hindered;         /* some port, or the one, is not */
    struct diff_span span; /* the one that decides */
};

static int look(void *context, const struct diff_span *span)
{
    struct finding *finding = context;
    const struct expectation *expectation = finding->expectation;
    const struct fence_query *target = &expectation->target;
    const char *verdict = trace_verdict(&span->answers[DIFF_NEW]);
    bool allow = strcmp(verdict, "allow") == 0, deny = strcmp(verdict, "deny") == 0;

    if (expectation->exact && (target->protocol != span->protocol || target->port < span->first ||
                               target->port > span->last))
        return 0;
    /* what speaks against it is worth showing; without that, anything */
    if (!finding->asked || (expectation->allow ? !allow : !deny && !finding->passed))
        finding->span = *span;
    finding->asked = true;
    finding->passed |= expectation->allow ? allow : !deny;
    finding->hindered |= !allow;
    return 0;
}

static bool means(const struct end *end, const struct diff_workload *workload)
{
    const struct fence_object *pod = workload->count ? workload->pods[0].object[DIFF_NEW] : NULL;

    if (*end->outside.address)
        return workload == &end->outside;
    if (!pod || (end->namespace_name && strcmp(end->namespace_name, pod->namespace_name) != 0))
        return false;
    for (size_t i = 0; i < end->count; i++) {
        const struct term *term = &end->terms[i];
        const char *value = fence_labels_get(pod->pod.labels, term->key);
        bool matches = value && (!term->value || strcmp(value, term->value) == 0);

        if (matches == term->negated)
            return false;
    }
    return true;
}

/* The workload at `index`; the address that the end names stands behind the last one. */
static const struct diff_workload *candidate(const struct diff *diff, const struct end *end,
                                             size_t index)
{
    return index < diff->count ? &diff->workloads[index] : &end->outside;
}

static const char *name_of(const struct diff_workload *workload)
{
    return workload->name ? workload->name : workload->address;
}

static char *explain(const struct diff_question *question, const struct finding *finding)
{
    const struct fence_answer *answer = &finding->span.answers[DIFF_NEW].first;
    const struct fence_side *side = &answer->sides[FENCE_EGRESS];
    bool allow = finding->expectation->allow;
    char protocol[8], ports[64], where[96], rule[32] = "", *text = NULL;
    const char *reason;

    if (allow ? side->verdict == FENCE_ALLOW : !*side->policy)
        side = &answer->sides[FENCE_INGRESS];
    diff_ports_text(&finding->span, ports);
    snprintf(where, sizeof(where), "%s %s", diff_protocol_text(finding->span.protocol, protocol),
             ports);
    if (*side->policy && side->rule != FENCE_RULE_NONE)
        snprintf(rule, sizeof(rule), " rule %u", side->rule);
    reason = allow ? fence_reason_name(side->reason) : "no policy forbids it";
    if (asprintf(&text, "%s %s %s at %s: %s%s%s", name_of(question->from),
                 allow ? "does not reach" : "reaches", name_of(question->to),
                 allow && !finding->expectation->exact ? "any port" : where,
                 *side->policy ? side->policy : reason, rule,
                 finding->span.answers[DIFF_NEW].mixed ? " (in one family of addresses)" : "") < 0)
        return NULL;
    return text;
}

struct outcome {
    bool asked; /* there was a pair to ask */
    char *why;  /* why it does not hold; NULL = it does */
};

/* 1 holds, 0 does not, and then the outcome says why. */
static int judge_pair(const struct diff *diff, const struct expectation *expectation,
                      const struct diff_question *question, struct outcome *outcome,
                      struct fence_err *err)
{
    struct finding finding = {.expectation = expectation};
    int r = diff_ask(diff, question, look, &finding, err);
    bool holds;

    if (r < 0)
        return r;
    if (!finding.asked)
        return 1;
    outcome->asked = true;
    /* without a port, "allow" asks for some port, and "deny" for none */
    if (expectation->allow)
        holds = expectation->exact ? !finding.hindered : finding.passed;
    else
        holds = !finding.passed;
    if (holds)
        return 1;
    outcome->why = explain(question, &finding);
    return outcome->why ? 0 : fence_err_set(err, -ENOMEM, "out of memory");
}

static int judge(const struct diff *diff, const struct expectation *expectation,
                 struct outcome *outcome, struct fence_err *err)
{
    int r = 1;

    for (size_t i = 0; r == 1 && i <= diff->count; i++) {
        const struct diff_workload *from = candidate(diff, &expectation->from, i);

        if (!means(&expectation->from, from))
            continue;
        for (size_t j = 0; r == 1 && j <= diff->count; j++) {
            const struct diff_question question = {
                .from = from,
                .to = candidate(diff, &expectation->to, j),
                .sides = 1u << DIFF_NEW,
            };

            if (means(&expectation->to, question.to))
                r = judge_pair(diff, expectation, &question, outcome, err);
        }
    }
    if (r != 1 || outcome->asked)
        return r;
    outcome->why =
        strdup("it means no two workloads that could speak to each other: look at labels, "
               "and at whether the pods are among the objects");
    return outcome->why ? 0 : fence_err_set(err, -ENOMEM, "out of memory");
}

/* ---- the file ------------------------------------------------------------------------------- */

static bool add_result(cJSON *list, unsigned int number, const char *text, const char *why)
{
    cJSON *result = cJSON_CreateObject();

    return cJSON_AddItemToArray(list, result) && cJSON_AddNumberToObject(result, "line", number) &&
           cJSON_AddStringToObject(result, "text", text) &&
           cJSON_AddBoolToObject(result, "holds", !why) &&
           (!why || cJSON_AddStringToObject(result, "why", why));
}

/* The results of a file. */
struct results {
    cJSON *list;
    size_t broken;
};

static int check_line(const struct diff *diff, char *line, unsigned int number,
                      struct results *results, struct fence_err *err)
{
    FENCE_FREE struct expectation *expectation = calloc(1, sizeof(*expectation));
    FENCE_FREE char *text = strdup(line + strspn(line, " \t\r"));
    struct outcome outcome = {0};
    int r;

    if (!expectation || !text)
        return fence_err_set(err, -ENOMEM, "out of memory");
    if (!*text || *text == '#')
        return 0;
    text[strcspn(text, "\r")] = '\0';
    r = parse_line(line, expectation, err);
    if (r == 0)
        r = judge(diff, expectation, &outcome, err);
    if (r >= 0 && !add_result(results->list, number, text, outcome.why))
        r = fence_err_set(err, -ENOMEM, "out of memory");
    results->broken += outcome.why != NULL;
    free(outcome.why);
    return r < 0 ? fence_err_prefix(err, r, "line %u", number) : 0;
}

int diff_expect(const struct diff *diff, const char *path, cJSON *list, size_t *ret_broken,
                struct fence_err *err)
{
    FENCE_FREE char *data = NULL;
    size_t size = 0;
    struct results results = {.list = list};
    char *rest, *line;
    unsigned int number = 0;
    int r = strcmp(path, "-") == 0 ? fence_fd_read(STDIN_FILENO, MAX_BYTES, &data, &size, err)
                                   : fence_file_read(AT_FDCWD, path, MAX_BYTES, &data, &size, err);

    if (r < 0)
        return r;
    if (memchr(data, '\0', size))
        return fence_err_set(err, -EINVAL, "%s: it is no text", path);
    rest = data;
    while (r == 0 && (line = strsep(&rest, "\n")))
        r = check_line(diff, line, ++number, &results, err);
    *ret_broken = results.broken;
    return r < 0 ? fence_err_prefix(err, r, "%s", path) : 0;
}
