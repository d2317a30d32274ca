/* SPDX-License-Identifier: Apache-2.0 */
/* SegmentPolicy and ClusterSegmentPolicy, podfence.io/v1alpha1. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/objects/decoders.h"

enum mode {
    MODE_ALLOWLIST,
    MODE_DENYLIST,
};

static const char *const modes[] = {
    [MODE_ALLOWLIST] = "Allowlist", [MODE_DENYLIST] = "Denylist", NULL};

/* ---- expiresAt ------------------------------------------------------------------------------ */

static bool is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_of_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return days[month - 1] + (month == 2 && is_leap(year));
}

/* Does the text look like `shape`, where 0 stands for a digit? */
static bool has_shape(const char *text, const char *shape)
{
    for (; *shape; shape++, text++) {
        bool fits = *shape == '0' ? isdigit((unsigned char)*text) : *text == *shape;

        if (!fits)
            return false;
    }
    return true;
}

static int number_at(const char *text, int digits)
{
    int value = 0;

    while (digits--)
        value = value * 10 + (*text++ - '0');
    return value;
}

/* "Z" or "+hh:mm" to the end of the text. */
static bool parse_zone(const char *text, long *ret_seconds)
{
    int hours, minutes;

    if (strcmp(text, "Z") == 0) {
        *ret_seconds = 0;
        return true;
    }
    if ((*text != '+' && *text != '-') || !has_shape(text + 1, "00:00") || text[6])
        return false;
    hours = number_at(text + 1, 2);
    minutes = number_at(text + 4, 2);
    if (hours > 23 || minutes > 59)
        return false;
    *ret_seconds = (hours * 60L + minutes) * 60L * (*text == '-' ? -1 : 1);
    return true;
}

/* RFC 3339; a fraction of a second is cut off. */
static bool parse_time(const char *text, int64_t *ret_seconds)
{
    struct tm tm = {0};
    int year, month;
    long zone;

    if (!has_shape(text, "0000-00-00T00:00:00"))
        return false;
    year = number_at(text, 4);
    month = number_at(text + 5, 2);
    tm.tm_year = year - 1900;
    tm.tm_mon = month - 1;
    tm.tm_mday = number_at(text + 8, 2);
    tm.tm_hour = number_at(text + 11, 2);
    tm.tm_min = number_at(text + 14, 2);
    tm.tm_sec = number_at(text + 17, 2);
    if (month < 1 || month > 12 || tm.tm_mday < 1 || tm.tm_mday > days_of_month(year, month) ||
        tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 59)
        return false;
    text += 19;
    if (*text == '.') {
        size_t digits = strspn(text + 1, "0123456789");

        if (digits == 0)
            return false;
        text += 1 + digits;
    }
    if (!parse_zone(text, &zone))
        return false;
    *ret_seconds = (int64_t)timegm(&tm) - zone;
    return true;
}

static int decode_expiry(const struct fence_field *field, struct fence_policy *policy,
                         struct fence_err *err)
{
    int64_t seconds;
    int r = fence_field_expect(field, FENCE_DOC_STRING, err);

    if (r < 0)
        return r;
    if (!parse_time(field->doc->text, &seconds))
        return fence_field_refuse(field, err,
                                  "\"%.60s\" is not a time as in RFC 3339, such as "
                                  "2027-01-01T00:00:00Z",
                                  field->doc->text);
    if (seconds <= 0)
        return fence_field_refuse(field, err, "\"%.60s\" is not later than 1970", field->doc->text);
    policy->expires_at = seconds;
    return 0;
}

/* ---- who and where -------------------------------------------------------------------------- */

static int decode_applies_to(const struct fence_field *field, struct fence_object *object,
                             struct fence_err *err)
{
    static const char *const known[] = {"podSelector", "namespaceSelector", NULL};
    struct fence_field pods = fence_field_get(field, "podSelector");
    struct fence_field namespaces = fence_field_get(field, "namespaceSelector");
    int r = 0;

    if (!field->doc)
        return fence_field_refuse(field, err, "is missing ({} means every pod)");
    r = fence_field_expect(field, FENCE_DOC_MAP, err);
    if (r < 0)
        return r;
    if (namespaces.doc && object->kind == FENCE_OBJECT_SEGMENT_POLICY)
        return fence_field_refuse(&namespaces, err,
                                  "a SegmentPolicy applies to its own namespace; use a "
                                  "ClusterSegmentPolicy for others");
    fence_field_warn_unknown(field, known);
    if (pods.doc)
        r = fence_decode_selector(&pods, &object->policy.pods, err);
    if (r == 0 && namespaces.doc)
        r = fence_decode_selector(&namespaces, &object->policy.namespaces, err);
    return r;
}

/* A direction counts when its key is there, even as []; policyTypes wins. */
static int set_directions(const struct fence_field *spec, struct fence_policy *policy,
                          struct fence_err *err)
{
    bool listed[FENCE_DIRECTIONS] = {false, false};
    bool given = false;
    int r = fence_decode_policy_types(spec, listed, &given, err);

    if (r < 0)
        return r;
    for (unsigned int direction = 0; direction < FENCE_DIRECTIONS; direction++) {
        struct fence_field rules = fence_field_get(spec, fence_direction_keys[direction]);

        if (!given)
            listed[direction] = rules.doc != NULL;
        else if (rules.doc && !listed[direction])
            fence_field_warn(&rules, "without effect, policyTypes does not list it");
        policy->applies[direction] = listed[direction];
        policy->isolates[direction] = listed[direction] && policy->tier == FENCE_TIER_ALLOWLIST;
    }
    if (!listed[FENCE_INGRESS] && !listed[FENCE_EGRESS])
        return fence_field_refuse(spec, err,
                                  "must have ingress, egress or policyTypes, else it would do "
                                  "nothing");
    return 0;
}

static int decode_enforcement(const struct fence_field *field, struct fence_policy *policy,
                              struct fence_err *err)
{
    static const char *const values[] = {"Enforce", "Audit", NULL};
    unsigned int choice = 0;
    int r = field->doc ? fence_field_choice(field, values, &choice, err) : 0;

    if (r == 0)
        policy->audit = choice == 1;
    return r;
}

static void warn_of_annotation(const struct fence_field *field)
{
    struct fence_field metadata = fence_field_get(field, "metadata");
    struct fence_field annotations = fence_field_get(&metadata, "annotations");
    struct fence_field value = fence_field_get(&annotations, "podfence.io/enforcement");

    if (value.doc)
        fence_field_warn(&value, "ignored: spec.enforcement says it for this kind");
}

int fence_decode_segment_policy(const struct fence_field *field, struct fence_object *object,
                                struct fence_err *err)
{
    static const char *const known[] = {"mode",    "enforcement", "appliesTo", "policyTypes",
                                        "ingress", "egress",      "expiresAt", NULL};
    struct fence_rule_style style = {
        .icmp = true, .cluster = object->kind == FENCE_OBJECT_CLUSTER_SEGMENT_POLICY};
    struct fence_policy *policy = &object->policy;
    struct fence_field spec = fence_field_get(field, "spec");
    struct fence_field mode = fence_field_get(&spec, "mode");
    struct fence_field enforcement = fence_field_get(&spec, "enforcement");
    struct fence_field applies_to = fence_field_get(&spec, "appliesTo");
    struct fence_field expiry = fence_field_get(&spec, "expiresAt");
    unsigned int choice = MODE_ALLOWLIST;
    int r = fence_field_expect(&spec, FENCE_DOC_MAP, err);

    if (r == 0)
        r = fence_field_choice(&mode, modes, &choice, err);
    if (r < 0)
        return r;
    spec.warnings->strict = true;
    fence_field_warn_unknown(&spec, known);
    warn_of_annotation(field);
    policy->tier = choice == MODE_DENYLIST ? FENCE_TIER_DENYLIST : FENCE_TIER_ALLOWLIST;
    style.action = choice == MODE_DENYLIST ? FENCE_ACTION_DENY : FENCE_ACTION_ALLOW;
    r = decode_enforcement(&enforcement, policy, err);
    if (r == 0)
        r = decode_applies_to(&applies_to, object, err);
    if (r == 0)
        r = fence_decode_rules(&spec, &style, policy, err);
    if (r == 0)
        r = set_directions(&spec, policy, err);
    if (r == 0 && expiry.doc)
        r = decode_expiry(&expiry, policy, err);
    spec.warnings->strict = false;
    if (r == 0 && spec.warnings->refused)
        r = fence_err_set(err, -EINVAL, "%s", spec.warnings->refused);
    return r;
}
