/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/ctl/alarms.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/memory.h"
#include "test/cmocka.h"

#define RAISED                                                                                     \
    "{\"id\":7,\"rule\":\"port-scan\",\"severity\":\"critical\",\"state\":\"raised\",\"subject\":" \
    "{\"kind\":\"workload\",\"name\":\"shop/web\",\"pod\":\"web-1\"},\"peer\":\"shop/db\","        \
    "\"count\":300,\"others\":0,\"evidence\":\"20 ports\",\"response\":null,"                      \
    "\"firstSeen\":\"2026-01-02T03:04:05.000Z\",\"lastSeen\":\"2026-01-02T03:04:06.000Z\","        \
    "\"clearedAt\":null}"
#define HOSTILE                                                                                    \
    "{\"id\":8,\"rule\":\"spoofing\",\"severity\":\"critical\",\"state\":\"cleared\",\"change\":"  \
    "\"answered\",\"subject\":{\"name\":\"shop/a\\u001b[2J\",\"pod\":\"\\u009b1m\"},\"peer\":"     \
    "\"p\\u202e\",\"count\":3,\"others\":2,\"evidence\":\"e\\ne\",\"response\":\"not "             \
    "cut\\u0007\",\"clearedAt\":\"t\"}"

static const struct {
    const char *alarm;
    bool color;
    const char *expect;
} rows[] = {
    {RAISED, false,
     "7  raised  critical  port-scan  shop/web (pod web-1), about shop/db\n"
     "    300 times, since 2026-01-02T03:04:05.000Z, last 2026-01-02T03:04:06.000Z\n"
     "    20 ports\n"},
    {RAISED, true,
     "7  \033[31mraised\033[0m  critical  port-scan  shop/web (pod web-1), about shop/db\n"
     "    300 times, since 2026-01-02T03:04:05.000Z, last 2026-01-02T03:04:06.000Z\n"
     "    20 ports\n"},
    {HOSTILE, false,
     "8  answered  critical  spoofing  shop/a\\x1b[2J (pod \\xc2\\x9b1m), about p\\xe2\\x80\\xae "
     "and 2 more\n"
     "    3 times, cleared t\n"
     "    e\\x0ae\n"
     "    not cut\\x07\n"},
    {"{}", false, "0        \n    0 times\n    \n"},
    {"{\"id\":\"x\",\"subject\":3,\"evidence\":[],\"peer\":{}}", false,
     "0        \n    0 times\n    \n"},
};

static void test_alarms(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        cJSON *alarm = cJSON_Parse(rows[i].alarm);
        char *text = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&text, &size);

        assert_non_null(alarm);
        assert_non_null(out);
        ctl_alarm_print(out, rows[i].color, alarm);
        fclose(out);
        cJSON_Delete(alarm);
        assert_string_equal(text, rows[i].expect);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_alarms)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
