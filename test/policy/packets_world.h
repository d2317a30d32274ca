/* SPDX-License-Identifier: Apache-2.0 */
/* The world around a sequence of packets, as a reachability file without lines. */
#pragma once

#include <cjson/cJSON.h>

/* What a packet's text says of the policies in force. */
enum packets_phase {
    PACKETS_AS_WRITTEN,
    PACKETS_NO_POLICY,
    PACKETS_DENY_ALL,
};

/* The phase from this packet on, into *phase; what it was when the text says nothing of it.
 * -EINVAL: something happens ("..., then SYN") that nobody knows. */
int packets_phase_of(const char *what, enum packets_phase *phase);

/* The caller deletes it. NULL when out of memory. */
cJSON *packets_world(const cJSON *file, enum packets_phase phase);
