/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "lib/base/memory.h"
#include "test/bench/sockets.h"

static const struct sockets_kind kinds[] = {
    {"none", "no policy", SOCKETS_NONE},
    {"none-again", "no policy, again", SOCKETS_NONE},
    {"empty", "empty TCX programs", SOCKETS_EMPTY},
    {"peer", "hand-over, no policy", SOCKETS_PEER},
    {"fence-1", "podfence, 1 rule", SOCKETS_FENCE},
    {"fence-100", "podfence, 100 rules", SOCKETS_FENCE},
    {"fence-1000", "podfence, 1,000 rules", SOCKETS_FENCE},
    {"fence-10000", "podfence, 10,000 rules", SOCKETS_FENCE},
    {"fence-addresses", "podfence, 100,000 addresses", SOCKETS_FENCE},
    {"fence-changes", "podfence, 100 changes a second", SOCKETS_FENCE},
    {"fence-stopped", "podfence, 1 rule, daemon stopped", SOCKETS_FENCE},
    {"fence-same-node", "podfence, same-node path", SOCKETS_SAME_NODE},
    {"events-off", "nobody listens", SOCKETS_FENCE},
    {"events-off-again", "nobody listens, again", SOCKETS_FENCE},
    {"events-alarms", "alarms listen, the default", SOCKETS_FENCE},
    {"events-told", "every connection is told", SOCKETS_FENCE},
    {"events-shown", "and shown by podfencectl observe", SOCKETS_FENCE},
    {"iptables-nft-100", "iptables-nft, 100 rules", SOCKETS_OTHER},
    {"iptables-nft-1000", "iptables-nft, 1,000 rules", SOCKETS_OTHER},
    {"iptables-legacy-100", "iptables-legacy, 100 rules", SOCKETS_OTHER},
    {"iptables-legacy-1000", "iptables-legacy, 1,000 rules", SOCKETS_OTHER},
    {"ipset", "ipset, 10,000 elements", SOCKETS_OTHER},
    {"nft-map", "nft verdict map, 10,000", SOCKETS_OTHER},
};

static const struct {
    const char *name;
    const char *unit;
} tests[SOCKETS_TESTS] = {
    [SOCKETS_CRR] = {"connections", "connections/s"},
    [SOCKETS_RR] = {"round trips", "round trips/s"},
    [SOCKETS_UDP] = {"UDP", "datagrams/s"},
    [SOCKETS_BULK] = {"iperf3", "bits/s"},
};

const struct sockets_kind *sockets_kind_find(const char *key)
{
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(kinds); i++)
        if (strcmp(kinds[i].key, key) == 0)
            return &kinds[i];
    return NULL;
}

const char *sockets_test_name(enum sockets_test test)
{
    return tests[test].name;
}

const char *sockets_test_unit(enum sockets_test test)
{
    return tests[test].unit;
}
