/* SPDX-License-Identifier: Apache-2.0 */
/* Names of what a flow has, and its time. */
#include "lib/flows/flow.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "lib/base/memory.h"

#define NANOSECONDS  1000000000ull
#define MILLISECONDS 1000000ull

static const char *const verdicts[] = {
    [FENCE_FLOW_FORWARDED] = "FORWARDED",
    [FENCE_FLOW_DROPPED] = "DROPPED",
    [FENCE_FLOW_AUDIT] = "AUDIT",
};
_Static_assert(FENCE_ARRAY_SIZE(verdicts) == FENCE_FLOW_VERDICTS, "every verdict has a name");

const char *fence_flow_verdict_name(unsigned int verdict)
{
    return verdict < FENCE_FLOW_VERDICTS ? verdicts[verdict] : "unknown";
}

int fence_flow_verdict_parse(const char *text, enum fence_flow_verdict *ret_verdict)
{
    for (size_t i = 0; i < FENCE_FLOW_VERDICTS; i++)
        if (strcasecmp(text, verdicts[i]) == 0) {
            *ret_verdict = (enum fence_flow_verdict)i;
            return 0;
        }
    return -EINVAL;
}

int fence_flow_is_icmp(unsigned int protocol)
{
    return protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;
}

int fence_flow_has_port(unsigned int protocol)
{
    return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP;
}

const char *fence_flow_time_format(uint64_t wall_ns, char text[FENCE_FLOW_TIME])
{
    time_t seconds = (time_t)(wall_ns / NANOSECONDS);
    struct tm parts;
    char day[32];

    if (!gmtime_r(&seconds, &parts) || !strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &parts))
        day[0] = '\0';
    snprintf(text, FENCE_FLOW_TIME, "%s.%03lluZ", day,
             (unsigned long long)(wall_ns % NANOSECONDS / MILLISECONDS));
    return text;
}

/* ".25" in nanoseconds; `at` is left behind it. */
static uint64_t parse_fraction(const char **at)
{
    uint64_t unit = NANOSECONDS / 10, sum = 0;

    if (**at != '.')
        return 0;
    for ((*at)++; **at >= '0' && **at <= '9'; (*at)++) {
        sum += (uint64_t)(**at - '0') * unit;
        unit /= 10;
    }
    return sum;
}

int fence_flow_time_parse(const char *text, uint64_t *ret_wall_ns)
{
    struct tm parts = {0};
    const char *at = strptime(text, "%Y-%m-%dT%H:%M:%S", &parts);
    uint64_t fraction = at ? parse_fraction(&at) : 0;
    time_t seconds = at ? timegm(&parts) : -1;

    if (!at || strcmp(at, "Z") != 0 || seconds < 0)
        return -EINVAL;
    *ret_wall_ns = (uint64_t)seconds * NANOSECONDS + fraction;
    return 0;
}
