/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/alarm/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/labels.h"
#include "lib/base/memory.h"
#include "lib/objects/doc.h"
#include "lib/objects/field.h"

#define SECOND_MS     1000u
#define MINUTE_MS     60000u
#define HOUR_MS       3600000u
#define MS_NS         1000000ull
#define PERIOD_MAX_MS 2592000000ull /* 30 days */
#define WITHIN_MAX_MS 600000u
#define CUT_LEAST_MS  SECOND_MS
#define DEFAULT_CUT_S 600u
#define DEFAULT_CUTS  3u
#define PATTERN_MAX   127u

/* What a rule is called, weighs and may be told. NULL: it has no such key. */
static const struct {
    const char *name;
    const char *threshold;
    const char *factor;
    const char *critical;
    long least, most; /* of the threshold */
    struct fence_alarm_rule_config defaults;
    enum fence_alarm_severity severity;
    bool has_within;
    bool may_cut;
} rules[] = {
    [FENCE_ALARM_NEW_PEER] = {.name = "new-peer",
                              .severity = FENCE_ALARM_WARNING,
                              .may_cut = true,
                              .defaults = {.quiet_ms = 10 * MINUTE_MS}},
    [FENCE_ALARM_PORT_SCAN] = {.name = "port-scan",
                               .severity = FENCE_ALARM_CRITICAL,
                               .threshold = "ports",
                               .least = 3,
                               .most = 64,
                               .has_within = true,
                               .may_cut = true,
                               .defaults = {.threshold = 20,
                                            .within_ms = 10 * SECOND_MS,
                                            .quiet_ms = MINUTE_MS}},
    [FENCE_ALARM_FAN_OUT] = {.name = "fan-out",
                             .severity = FENCE_ALARM_CRITICAL,
                             .threshold = "peers",
                             .least = 3,
                             .most = 128,
                             .factor = "factor",
                             .has_within = true,
                             .may_cut = true,
                             .defaults = {.threshold = 32,
                                          .factor = 2,
                                          .within_ms = 10 * SECOND_MS,
                                          .quiet_ms = MINUTE_MS}},
    [FENCE_ALARM_REFUSED_BURST] = {.name = "refused-burst",
                                   .severity = FENCE_ALARM_WARNING,
                                   .threshold = "packets",
                                   .least = 3,
                                   .most = 1000000,
                                   .has_within = true,
                                   .may_cut = true,
                                   .defaults = {.threshold = 50,
                                                .within_ms = 10 * SECOND_MS,
                                                .quiet_ms = MINUTE_MS}},
    [FENCE_ALARM_RATE] = {.name = "rate",
                          .severity = FENCE_ALARM_WARNING,
                          .threshold = "connections",
                          .least = 1,
                          .most = 10000000,
                          .factor = "deviations",
                          .may_cut = true,
                          .defaults = {.threshold = 100, .factor = 6, .quiet_ms = MINUTE_MS}},
    [FENCE_ALARM_SPOOFING] = {.name = "spoofing",
                              .severity = FENCE_ALARM_CRITICAL,
                              .threshold = "packets",
                              .least = 1,
                              .most = 1000000,
                              .has_within = true,
                              .may_cut = true,
                              .defaults = {.threshold = 3,
                                           .within_ms = MINUTE_MS,
                                           .quiet_ms = 10 * MINUTE_MS}},
    [FENCE_ALARM_MAP_PRESSURE] = {.name = "map-pressure",
                                  .severity = FENCE_ALARM_WARNING,
                                  .threshold = "percent",
                                  .least = 10,
                                  .most = 100,
                                  .critical = "critical",
                                  .defaults = {.threshold = 80, .critical = 95}},
    [FENCE_ALARM_FILTER_REMOVED] = {.name = "filter-removed",
                                    .severity = FENCE_ALARM_CRITICAL,
                                    .defaults = {.quiet_ms = 10 * MINUTE_MS}},
    [FENCE_ALARM_EVENTS_LOST] = {.name = "events-lost",
                                 .severity = FENCE_ALARM_WARNING,
                                 .defaults = {.quiet_ms = MINUTE_MS}},
};
_Static_assert(FENCE_ARRAY_SIZE(rules) == FENCE_ALARM_RULES, "a row for each rule");

static const char *const severities[] = {
    [FENCE_ALARM_INFO] = "info",
    [FENCE_ALARM_WARNING] = "warning",
    [FENCE_ALARM_CRITICAL] = "critical",
};
_Static_assert(FENCE_ARRAY_SIZE(severities) == FENCE_ALARM_SEVERITIES, "a name for each severity");

const char *fence_alarm_rule_name(enum fence_alarm_rule rule)
{
    return (unsigned int)rule < FENCE_ALARM_RULES ? rules[rule].name : "unknown";
}

const char *fence_alarm_severity_name(enum fence_alarm_severity severity)
{
    return (unsigned int)severity < FENCE_ALARM_SEVERITIES ? severities[severity] : "unknown";
}

enum fence_alarm_severity fence_alarm_rule_severity(enum fence_alarm_rule rule)
{
    return rules[rule].severity;
}

/* ---- patterns ------------------------------------------------------------------------------- */

static void patterns_done(struct fence_alarm_patterns *patterns)
{
    for (size_t i = 0; i < patterns->count; i++)
        free(patterns->items[i]);
    free(patterns->items);
    *patterns = (struct fence_alarm_patterns){0};
}

static int patterns_add(struct fence_alarm_patterns *patterns, const char *text)
{
    char *copy = strdup(text);

    if (!copy || FENCE_GROW(patterns->items, patterns->capacity, patterns->count) < 0) {
        free(copy);
        return -ENOMEM;
    }
    patterns->items[patterns->count++] = copy;
    return 0;
}

static bool matches(const char *pattern, const char *name)
{
    size_t size = strlen(pattern);

    if (size && pattern[size - 1] == '*')
        return strncmp(pattern, name, size - 1) == 0;
    return strcmp(pattern, name) == 0;
}

bool fence_alarm_patterns_match(const struct fence_alarm_patterns *patterns, const char *name)
{
    for (size_t i = 0; i < patterns->count; i++)
        if (matches(patterns->items[i], name))
            return true;
    return false;
}

/* One star, alone or right behind the only slash. */
static bool is_pattern(const char *text)
{
    const char *slash = strchr(text, '/');

    if (strcmp(text, "*") == 0)
        return true;
    if (!slash || slash == text || !slash[1] || strchr(slash + 1, '/') ||
        strlen(text) > PATTERN_MAX)
        return false;
    return strcmp(slash + 1, "*") == 0 || !strchr(text, '*');
}

/* The list replaces what was there. */
static int read_patterns(const struct fence_field *map, const char *key,
                         struct fence_alarm_patterns *patterns, struct fence_err *err)
{
    struct fence_field list = fence_field_get(map, key);
    size_t count = fence_field_count(&list);
    int r = fence_field_allow(&list, FENCE_DOC_LIST, err);

    if (r < 0 || !list.doc)
        return r;
    if (count > FENCE_ALARM_PATTERNS_MAX)
        return fence_field_refuse(&list, err, "%zu entries, at most %u are allowed", count,
                                  FENCE_ALARM_PATTERNS_MAX);
    patterns_done(patterns);
    for (size_t i = 0; i < count && r == 0; i++) {
        struct fence_field item = fence_field_item(&list, i);
        const char *text = "";

        r = fence_field_string(&item, &text, err);
        if (r == 0 && !is_pattern(text))
            r = fence_field_refuse(&item, err,
                                   "\"%.64s\" is none of NAMESPACE/APP, NAMESPACE/* and *", text);
        if (r == 0)
            r = patterns_add(patterns, text);
    }
    return r;
}

/* ---- values --------------------------------------------------------------------------------- */

struct period {
    uint64_t least, most; /* ms */
};

/* "90s", "10m", "24h", "7d". */
static bool parse_period(const char *text, uint64_t *ret_ms)
{
    static const struct {
        char unit;
        uint64_t ms;
    } units[] = {{'s', SECOND_MS}, {'m', MINUTE_MS}, {'h', HOUR_MS}, {'d', 24ull * HOUR_MS}};
    char *end;
    unsigned long number;

    if (*text < '0' || *text > '9' || strlen(text) > 9)
        return false;
    number = strtoul(text, &end, 10);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(units); i++)
        if (end[0] == units[i].unit && !end[1]) {
            *ret_ms = number * units[i].ms;
            return true;
        }
    return false;
}

static int read_period(const struct fence_field *map, const char *key, const struct period *range,
                       uint64_t *ret_ms, struct fence_err *err)
{
    struct fence_field field = fence_field_get(map, key);
    const char *text = NULL;
    uint64_t ms = 0;
    int r = fence_field_string(&field, &text, err);

    if (r < 0 || !text)
        return r;
    if (!parse_period(text, &ms) || ms < range->least || ms > range->most)
        return fence_field_refuse(
            &field, err, "\"%.32s\" is no period from %llus to %llus such as 90s, 10m, 24h, 7d",
            text, (unsigned long long)range->least / SECOND_MS,
            (unsigned long long)range->most / SECOND_MS);
    *ret_ms = ms;
    return 0;
}

static int read_short_period(const struct fence_field *map, const char *key, uint32_t *ret_ms,
                             struct fence_err *err)
{
    static const struct period range = {SECOND_MS, WITHIN_MAX_MS};
    uint64_t ms = *ret_ms;
    int r = read_period(map, key, &range, &ms, err);

    *ret_ms = (uint32_t)ms;
    return r;
}

static int read_number(const struct fence_field *map, const char *key,
                       const struct fence_range *range, uint32_t *ret_value, struct fence_err *err)
{
    struct fence_field field = fence_field_get(map, key);
    long value = 0;
    int r;

    if (!field.doc)
        return 0;
    r = fence_field_number(&field, range, &value, err);
    if (r == 0)
        *ret_value = (uint32_t)value;
    return r;
}

/* ---- a rule --------------------------------------------------------------------------------- */

static int read_response(const struct fence_field *map, enum fence_alarm_rule rule, bool *ret_cut,
                         struct fence_err *err)
{
    static const char *const choices[] = {"none", "cut", NULL};
    struct fence_field field = fence_field_get(map, "respond");
    unsigned int choice = 0;
    int r;

    if (!field.doc)
        return 0;
    r = fence_field_choice(&field, choices, &choice, err);
    if (r == 0 && choice == 1 && !rules[rule].may_cut)
        return fence_field_refuse(&field, err, "no workload is to blame for %s, so nothing is cut",
                                  rules[rule].name);
    if (r == 0)
        *ret_cut = choice == 1;
    return r;
}

static int read_thresholds(const struct fence_field *map, enum fence_alarm_rule rule,
                           struct fence_alarm_rule_config *config, struct fence_err *err)
{
    const struct fence_range threshold = {rules[rule].least, rules[rule].most,
                                          rules[rule].threshold};
    const struct fence_range factor = {1, 1000, rules[rule].factor};
    const struct fence_range critical = {10, 100, rules[rule].critical};
    int r = 0;

    if (rules[rule].threshold)
        r = read_number(map, rules[rule].threshold, &threshold, &config->threshold, err);
    if (r == 0 && rules[rule].factor)
        r = read_number(map, rules[rule].factor, &factor, &config->factor, err);
    if (r == 0 && rules[rule].critical)
        r = read_number(map, rules[rule].critical, &critical, &config->critical, err);
    if (r == 0 && rules[rule].critical && config->critical < config->threshold)
        return fence_field_refuse(map, err, "%s is %u, less than %s, which is %u",
                                  rules[rule].critical, config->critical, rules[rule].threshold,
                                  config->threshold);
    if (r == 0 && rules[rule].has_within)
        r = read_short_period(map, "within", &config->within_ms, err);
    if (r == 0 && config->quiet_ms)
        r = read_short_period(map, "quiet", &config->quiet_ms, err);
    return r;
}

/* "" stands for a key that this rule has not. */
static const char *or_none(const char *key)
{
    return key ? key : "";
}

static int read_rule(const struct fence_field *map, enum fence_alarm_rule rule,
                     struct fence_alarm_rule_config *config, struct fence_err *err)
{
    const char *const known[] = {"enabled",
                                 "respond",
                                 "exempt",
                                 or_none(rules[rule].threshold),
                                 or_none(rules[rule].factor),
                                 or_none(rules[rule].critical),
                                 rules[rule].has_within ? "within" : "",
                                 config->quiet_ms ? "quiet" : "",
                                 NULL};
    struct fence_field enabled = fence_field_get(map, "enabled");
    int r = fence_field_allow(map, FENCE_DOC_MAP, err);

    if (r < 0)
        return r;
    fence_field_warn_unknown(map, known);
    r = fence_field_bool(&enabled, &config->enabled, err);
    if (r == 0)
        r = read_thresholds(map, rule, config, err);
    if (r == 0)
        r = read_response(map, rule, &config->cut, err);
    if (r == 0)
        r = read_patterns(map, "exempt", &config->exempt, err);
    return r;
}

static int read_rules(const struct fence_field *root, struct fence_alarm_config *config,
                      struct fence_err *err)
{
    const char *names[FENCE_ALARM_RULES + 1] = {0};
    struct fence_field map = fence_field_get(root, "rules");
    int r = fence_field_allow(&map, FENCE_DOC_MAP, err);

    if (r < 0 || !map.doc)
        return r;
    for (unsigned int i = 0; i < FENCE_ALARM_RULES; i++)
        names[i] = rules[i].name;
    fence_field_warn_unknown(&map, names);
    for (unsigned int i = 0; i < FENCE_ALARM_RULES && r == 0; i++) {
        struct fence_field rule = fence_field_get(&map, rules[i].name);

        if (rule.doc)
            r = read_rule(&rule, (enum fence_alarm_rule)i, &config->rules[i], err);
    }
    return r;
}

/* ---- the file ------------------------------------------------------------------------------- */

static int read_root(const struct fence_field *root, struct fence_alarm_config *config,
                     struct fence_err *err)
{
    static const char *const known[] = {"learningWindow", "cutFor", "maxCuts",
                                        "neverCut",       "rules",  NULL};
    static const struct period learning_range = {SECOND_MS, PERIOD_MAX_MS};
    static const struct period cut_range = {CUT_LEAST_MS, PERIOD_MAX_MS};
    const struct fence_range cuts = {1, FENCE_ALARM_CUTS_MAX, "a number of cuts"};
    uint64_t learning = config->learning_ns / MS_NS, cut = config->cut_seconds * 1000ull;
    int r = fence_field_expect(root, FENCE_DOC_MAP, err);

    if (r < 0)
        return r;
    fence_field_warn_unknown(root, known);
    r = read_period(root, "learningWindow", &learning_range, &learning, err);
    if (r == 0)
        r = read_period(root, "cutFor", &cut_range, &cut, err);
    if (r == 0)
        r = read_number(root, "maxCuts", &cuts, &config->max_cuts, err);
    if (r == 0)
        r = read_patterns(root, "neverCut", &config->never_cut, err);
    if (r == 0)
        r = read_rules(root, config, err);
    config->learning_ns = learning * MS_NS;
    config->cut_seconds = (uint32_t)(cut / SECOND_MS);
    return r;
}

static int read_doc(const struct fence_doc *doc, struct fence_alarm_config *config,
                    struct fence_err *err)
{
    struct fence_warnings warnings = {.strict = true};
    const struct fence_field root = {.doc = doc, .null_is_value = true, .warnings = &warnings};
    int r = read_root(&root, config, err);

    if (r == 0 && warnings.refused)
        r = fence_err_set(err, -EINVAL, "%s", warnings.refused);
    free(warnings.refused);
    free(warnings.text);
    return r;
}

int fence_alarm_config_defaults(struct fence_alarm_config *ret_config)
{
    struct fence_alarm_config config = {.learning_ns = 24ull * HOUR_MS * MS_NS,
                                        .cut_seconds = DEFAULT_CUT_S,
                                        .max_cuts = DEFAULT_CUTS};

    for (unsigned int i = 0; i < FENCE_ALARM_RULES; i++) {
        config.rules[i] = rules[i].defaults;
        config.rules[i].enabled = true;
    }
    if (patterns_add(&config.never_cut, "kube-system/*") < 0)
        return -ENOMEM;
    *ret_config = config;
    return 0;
}

int fence_alarm_config_parse(const char *text, size_t size, struct fence_alarm_config *ret_config,
                             struct fence_err *err)
{
    struct fence_alarm_config config;
    struct fence_docs docs = {0};
    int r = fence_alarm_config_defaults(&config);

    if (r < 0)
        return fence_err_set(err, r, "out of memory");
    r = fence_docs_parse(text, size, &docs, err);
    if (r == 0 && docs.count > 1)
        r = fence_err_set(err, -EINVAL, "line %u: a second document: one is allowed",
                          docs.items[1]->line);
    if (r == 0 && docs.count == 1)
        r = read_doc(docs.items[0], &config, err);
    fence_docs_done(&docs);
    if (r < 0)
        fence_alarm_config_done(&config);
    else
        *ret_config = config;
    return r;
}

void fence_alarm_config_done(struct fence_alarm_config *config)
{
    patterns_done(&config->never_cut);
    for (unsigned int i = 0; i < FENCE_ALARM_RULES; i++)
        patterns_done(&config->rules[i].exempt);
}
