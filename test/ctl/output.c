/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/ctl/output.h"

#include <stdlib.h>
#include <string.h>

#include "test/cmocka.h"

#include "cni/ctl/policy_set.h"
#include "cni/ctl/text.h"
#include "lib/base/memory.h"

static const struct ctl_column columns[] = {
    {"NAME", "name", NULL, 8}, {"WHERE", "addr", "port", 0}, {"COUNT", "count", NULL, 0},
    {"OK", "ok", NULL, 0},     {"LIST", "list", NULL, 0},    {"DEEP", "a.b", NULL, 0},
};

static const struct {
    const char *what;
    const char *rows;
    bool color;
    const char *expect;
} tables[] = {
    {"no rows", "[]", false, "(none)\n"},
    {"no list at all", "null", false, "(none)\n"},
    {"every kind of cell",
     "[{\"name\":\"web\",\"addr\":\"10.0.0.1\",\"port\":80,\"count\":1234567,\"ok\":true,"
     "\"list\":[\"a\",\"b\",1],\"a\":{\"b\":\"x\"}},{\"name\":\"\",\"addr\":\"fd00::1\",\"port\":"
     "80,"
     "\"ok\":false,\"list\":[]}]",
     false,
     "NAME  WHERE         COUNT    OK   LIST   DEEP\n"
     "web   10.0.0.1:80   1234567  yes  a,b,1  x\n"
     "-     [fd00::1]:80  -        no   -      -\n"},
    {"without a port", "[{\"name\":\"web\",\"addr\":\"fd00::1\"}]", false,
     "NAME  WHERE    COUNT  OK  LIST  DEEP\n"
     "web   fd00::1  -      -   -     -\n"},
    {"long texts are cut", "[{\"name\":\"abcdefgh\"},{\"name\":\"abcdefghi\"}]", false,
     "NAME      WHERE  COUNT  OK  LIST  DEEP\n"
     "abcdefgh  -      -      -   -     -\n"
     "abcde...  -      -      -   -     -\n"},
    {"UTF-8 is counted in columns",
     "[{\"name\":\"gr\xc3\xbc\xc3\x9f\"},{\"name\":\"\xe6\xbc\xa2\"}]", false,
     "NAME  WHERE  COUNT  OK  LIST  DEEP\n"
     "gr\xc3\xbc\xc3\x9f  -      -      -   -     -\n"
     "\xe6\xbc\xa2    -      -      -   -     -\n"},
    {"nothing steers the terminal",
     "[{\"addr\":\"\\u001b[2J\\u202ea\\u009b\",\"name\":\"a\\nb\\tc\"}]", false,
     "NAME      WHERE                         COUNT  OK  LIST  DEEP\n"
     "a\\x0a...  \\x1b[2J\\xe2\\x80\\xaea\\xc2\\x9b  -      -   -     -\n"},
    {"colours do not count", "[{\"name\":\"deny\",\"addr\":\"allow\"}]", true,
     "NAME  WHERE  COUNT  OK  LIST  DEEP\n"
     "\033[31mdeny\033[0m  \033[32mallow\033[0m  -      -   -     -\n"},
};

static void table_golden(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(tables); i++) {
        FENCE_FREE char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);
        cJSON *rows = cJSON_Parse(tables[i].rows);

        print_message("%s\n", tables[i].what);
        assert_non_null(rows);
        ctl_table_print(out, tables[i].color, rows, columns, FENCE_ARRAY_SIZE(columns));
        assert_int_equal(fclose(out), 0);
        assert_string_equal(text, tables[i].expect);
        cJSON_Delete(rows);
    }
}

static const struct {
    const char *json;
    const char *expect;
} yamls[] = {
    {"{\"a\":1,\"b\":\"text\",\"c\":true,\"d\":null,\"e\":1.5}",
     "a: 1\nb: text\nc: true\nd: null\ne: 1.5\n"},
    {"{\"list\":[1,\"two\",{\"x\":1,\"y\":{\"z\":[]}},[3,4]],\"empty\":{}}",
     "list:\n  - 1\n  - two\n  - x: 1\n    \"y\":\n      z: []\n  - - 3\n    - 4\nempty: {}\n"},
    /* words and forms that a YAML reader would take for something else */
    {"[\"yes\",\"No\",\"null\",\"~\",\"1\",\"1e3\",\"0x10\",\"\",\" a\",\"a \",\"- a\",\"a: "
     "b\",\"#c\","
     "\"*a\",\"&a\",\"!t\",\"{\",\"a,b\",\"'q'\",\"2027-01-01\",\".5\",\"true\",\"=\"]",
     "- \"yes\"\n- \"No\"\n- \"null\"\n- \"~\"\n- \"1\"\n- \"1e3\"\n- \"0x10\"\n- \"\"\n- \" "
     "a\"\n- "
     "\"a \"\n- \"- a\"\n- \"a: b\"\n- \"#c\"\n- \"*a\"\n- \"&a\"\n- \"!t\"\n- \"{\"\n- \"a,b\"\n- "
     "\"'q'\"\n- \"2027-01-01\"\n- \".5\"\n- \"true\"\n- \"=\"\n"},
    {"{\"app.kubernetes.io/name\":\"shop/web-1\",\"on\":1,\"a b\":2,\"a:b\":3}",
     "app.kubernetes.io/name: shop/web-1\n\"on\": 1\na b: 2\n\"a:b\": 3\n"},
    {"{\"evil\":\"a\\nb: c\\u001b[2J\\u202e\\u0085\\\"\"}",
     "evil: \"a\\nb: c\\u001b[2J\\u202e\\u0085\\\"\"\n"},
    {"\"plain\"", "plain\n"},
    {"[]", "[]\n"},
};

static void yaml_golden(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(yamls); i++) {
        FENCE_FREE char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);
        cJSON *value = cJSON_Parse(yamls[i].json);

        assert_non_null(value);
        ctl_yaml_print(out, value);
        assert_int_equal(fclose(out), 0);
        assert_string_equal(text, yamls[i].expect);
        cJSON_Delete(value);
    }
}

/* The value is built by hand: what comes from a map need not be valid UTF-8. */
static const struct {
    const char *text;
    const char *expect;
} jsons[] = {
    {"shop/web", "\"shop/web\"\n"},
    {"gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80", "\"gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80\"\n"},
    {"\033]0;x\007", "\"\\u001b]0;x\\u0007\"\n"},
    {"a\x7f"
     "b",
     "\"a\\u007fb\"\n"},
    {"\xc2\x9b", "\"\\u009b\"\n"},
    {"\xe2\x80\xae", "\"\\u202e\"\n"},
    {"\xff\xfe", "\"\\ufffd\\ufffd\"\n"},
    {"\xc3", "\"\\ufffd\"\n"},
    {"\xe2\x80", "\"\\ufffd\\ufffd\"\n"},
    {"\xc0\x80", "\"\\ufffd\\ufffd\"\n"},            /* overlong NUL */
    {"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"\n"}, /* half a surrogate pair */
    {"\"\\", "\"\\\"\\\\\"\n"},
};

static void json_escapes(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(jsons); i++) {
        FENCE_FREE char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);
        cJSON *value = cJSON_CreateString(jsons[i].text), *again;

        assert_int_equal(ctl_json_print(out, value), 0);
        assert_int_equal(fclose(out), 0);
        assert_string_equal(text, jsons[i].expect);
        again = cJSON_Parse(text);
        assert_true(cJSON_IsString(again));
        cJSON_Delete(again);
        cJSON_Delete(value);
    }
}

static void members_by_path(void **state)
{
    cJSON *value = cJSON_Parse("{\"a\":{\"b\":{\"c\":7,\"d\":\"x\"}},\"e\":1}");

    (void)state;
    assert_float_equal(ctl_member_number(value, "a.b.c"), 7, 0);
    assert_string_equal(ctl_member_text(value, "a.b.d"), "x");
    assert_string_equal(ctl_member_text(value, "a.b.c"), "");
    assert_null(ctl_member(value, "a.x.c"));
    assert_null(ctl_member(value, "e.b"));
    assert_null(ctl_member(NULL, "a"));
    cJSON_Delete(value);
}

static const struct {
    __u32 low, high;
    const char *expect;
} positions[] = {
    {0, FENCE_POSITION_END - 1, "[\"any\"]"},
    {FENCE_POSITION(6, 80), FENCE_POSITION(6, 80), "[\"TCP 80\"]"},
    {FENCE_POSITION(6, 80), FENCE_POSITION(6, 90), "[\"TCP 80-90\"]"},
    {FENCE_POSITION(17, 0), FENCE_POSITION(17, 65535), "[\"UDP\"]"},
    {FENCE_POSITION(1, 8 << 8), FENCE_POSITION(1, 8 << 8), "[\"ICMP type 8 code 0\"]"},
    {FENCE_POSITION(1, 8 << 8), FENCE_POSITION(1, (8 << 8) + 255), "[\"ICMP type 8\"]"},
    {FENCE_POSITION(58, 1), FENCE_POSITION(58, 300), "[\"ICMPv6 type/code 0/1-1/44\"]"},
    {0, FENCE_POSITION(6, 79), "[\"protocols 0-5\",\"TCP 0-79\"]"},
    {FENCE_POSITION(6, 81), FENCE_POSITION_END - 1, "[\"TCP 81-65535\",\"protocols 7-255\"]"},
    {FENCE_POSITION(6, 81), FENCE_POSITION(7, 5), "[\"TCP 81-65535\",\"7 0-5\"]"},
    {FENCE_POSITION(6, 0), FENCE_POSITION(17, 52), "[\"protocols 6-16\",\"UDP 0-52\"]"},
    {FENCE_POSITION(6, 81), FENCE_POSITION(8, 5), "[\"TCP 81-65535\",\"7\",\"8 0-5\"]"},
};

static void positions_are_readable(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(positions); i++) {
        cJSON *list = ctl_positions(positions[i].low, positions[i].high);
        char *text = cJSON_PrintUnformatted(list);

        assert_string_equal(text, positions[i].expect);
        cJSON_free(text);
        cJSON_Delete(list);
    }
}

static const struct {
    const char *text;
    unsigned int line;
    const char *rest;
} messages[] = {
    {"line 12: spec: bad", 12, "spec: bad"},
    {"spec: bad", 7, "spec: bad"},
    {"line x: bad", 7, "line x: bad"},
    {"line -1: bad", 7, "line -1: bad"},
    {"line 12 bad", 7, "line 12 bad"},
    {"line 99999999999: bad", 7, "line 99999999999: bad"},
    {"line ", 7, "line "},
};

static void lines_are_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(messages); i++) {
        unsigned int line = 7;

        assert_string_equal(ctl_split_line(messages[i].text, &line), messages[i].rest);
        assert_int_equal(line, messages[i].line);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_golden),           cmocka_unit_test(yaml_golden),
        cmocka_unit_test(json_escapes),           cmocka_unit_test(members_by_path),
        cmocka_unit_test(positions_are_readable), cmocka_unit_test(lines_are_split),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
