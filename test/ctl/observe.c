/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/ctl/observe.h"

#include <string.h>

#include "test/cmocka.h"

#include "lib/base/memory.h"

#define DROP                                                                                       \
    "{\"time\":\"2026-01-02T03:04:05.000000006Z\",\"verdict\":\"DROPPED\",\"reason\":\"no-rule\"," \
    "\"IP\":{\"source\":\"10.0.0.1\",\"destination\":\"10.0.0.2\",\"ipVersion\":\"IPv4\"},"        \
    "\"l4\":{\"TCP\":{\"source_port\":4000,\"destination_port\":5432}},"                           \
    "\"source\":{\"identity\":300,\"namespace\":\"shop\",\"app\":\"web\",\"pod_name\":\"web-1\"}," \
    "\"destination\":{\"identity\":301,\"namespace\":\"shop\",\"app\":\"db\"},"                    \
    "\"traffic_direction\":\"EGRESS\",\"policy\":\"NetworkPolicy/shop/web-out\",\"rule\":3,"       \
    "\"Summary\":\"TCP Flags: SYN\",\"suppressed\":4}"
#define PASS                                                                                       \
    "{\"time\":\"t\",\"verdict\":\"FORWARDED\",\"reason\":\"rule\",\"IP\":{\"source\":\"fd00::"    \
    "1\",\"destination\":\"fd00::2\"},\"l4\":{\"ICMPv6\":{\"type\":128,\"code\":0}},\"source\":{"  \
    "\"identity\":2,\"labels\":[\"reserved:world\"]},\"destination\":{\"identity\":301,"           \
    "\"namespace\":\"shop\",\"pod_name\":\"db-0\\u001b[2J\"},\"traffic_direction\":\"INGRESS\","   \
    "\"Summary\":\"ICMPv6 type 128 code 0\"}"
#define AUDIT                                                                                      \
    "{\"time\":\"t\",\"verdict\":\"AUDIT\",\"reason\":\"rule\",\"audit_reason\":\"no-rule\","      \
    "\"l4\":{\"UDP\":{\"destination_port\":53}},\"source\":{\"node\":\"n2\"},\"destination\":{"    \
    "\"namespace\":\"shop\",\"labels\":[\"reserved:service\"]},\"destination_service\":{\"name\":" \
    "\"dns\",\"namespace\":\"shop\"},\"policy\":\"a\",\"rule\":1,\"audit_policy\":\"b\"}"
#define SPOOF                                                                                      \
    "{\"verdict\":\"DROPPED\",\"reason\":\"spoofed-address\",\"IP\":{\"source\":\"10.9.9.9\","     \
    "\"destination\":\"10.0.0.2\"},\"source\":{\"namespace\":\"shop\",\"pod_name\":\"web-1\","     \
    "\"app\":\"web-1\"},\"destination\":{},\"Summary\":\"47\"}"
#define LOST                                                                                       \
    "{\"lost_events\":{\"source\":\"PERF_EVENT_RING_BUFFER\",\"num_events_lost\":12},\"time\":"    \
    "\"2026-01-02T03:04:05.123456789Z\"}"
#define LONG "shop/0123456789012345678901234567890123456789012345678901234567890123456789"
#define WIDE                                                                                       \
    "{\"source\":{\"namespace\":\"shop\",\"pod_name\":"                                            \
    "\"0123456789012345678901234567890123456789012345678901234567890123456789\"}}"

static const struct {
    const char *event;
    bool color;
    const char *expect;
} lines[] = {
    {DROP, false,
     "2026-01-02T03:04:05.000Z  DROPPED    shop/web-1 (web)      -> shop/db 10.0.0.2      5432/TCP "
     "  EGRESS   no-rule   NetworkPolicy/shop/web-out rule 3  (4 more left out)\n"},
    {PASS, true,
     "t                         \033[32mFORWARDED\033[0m  world fd00::1         -> "
     "shop/db-0\\x1b[2J      ICMPv6 128/0  INGRESS  rule      \n"},
    {AUDIT, false,
     "t                         AUDIT      node/n2               -> service shop/dns      53/UDP   "
     " "
     "             no-rule   b\n"},
    {SPOOF, false,
     "                          DROPPED    shop/web-1 10.9.9.9   -> ? 10.0.0.2            "
     "47                     spoofed-address  \n"},
    {LOST, true,
     "2026-01-02T03:04:05.123Z  \033[33m12 events lost\033[0m: the kernel's ring was full "
     "(podfenced --map-size events=BYTES)\n"},
    {"{}", false, "                                     ?                     -> ?  "},
    {WIDE, false, "                                     " LONG "  -> ?"},
    /* as wide as it has been, and no wider than a line can bear */
    {"{}", false,
     "                                     ?                                                 -> ?"},
};

static void one_line(size_t i, struct ctl_observe_widths *widths)
{
    FENCE_FREE char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    cJSON *event = cJSON_Parse(lines[i].event);

    assert_non_null(event);
    ctl_observe_print(out, lines[i].color, widths, event);
    assert_int_equal(fclose(out), 0);
    if (strchr(lines[i].expect, '\n'))
        assert_string_equal(text, lines[i].expect);
    else /* its begin */
        assert_memory_equal(text, lines[i].expect, strlen(lines[i].expect));
    cJSON_Delete(event);
}

static void golden_lines(void **state)
{
    struct ctl_observe_widths widths = {{0}};

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(lines); i++)
        one_line(i, &widths);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
