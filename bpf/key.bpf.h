/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* By what a connection's entry is known, and where in the table it may be. */
#pragma once

#include "bpf/abi.h"
#include "bpf/packet.bpf.h"
#include "bpf/parse.bpf.h"
#include "bpf/table.h"

/* Of an endpoint's connection, and where in the table it may be. */
struct connection_key {
    struct fence_connection_key id;
    __u64 hash;
};

/* `local` is the key's field, `ports` the local port and the remote one. */
fence_inline void connection_key_of(const struct fence_pair *pair, __u8 protocol, __u64 local,
                                    __u32 ports, struct fence_connection_key *id)
{
    id->remote = pair->remote;
    /* in one store, as it is read: see address_from_ipv4 */
    id->words[2] = ports | (__u64)pair->slot << 32 | (__u64)protocol << 48 | local << 56;
}

/* Of a protocol with ports. `local_is_source`: the pod sent what the tuple describes. `secret` is
 * settings.hash_key. */
fence_inline void connection_key_ports(const struct fence_pair *pair, const struct tuple *tuple,
                                       int local_is_source, const __u64 secret[2],
                                       struct connection_key *key)
{
    __u32 ports = tuple->source_port | (__u32)tuple->destination_port << 16;

    if (!local_is_source)
        ports = ports << 16 | ports >> 16;
    connection_key_of(pair, tuple->protocol, pair->local_number, ports, &key->id);
    key->hash = fence_table_hash(&key->id, pair->ends, secret);
}

/*
 * Of any. An ICMP id belongs to the end that asks: equal ids of both ends are two connections, and
 * neither passes as the answer to the other.
 */
fence_inline void connection_key(const struct fence_pair *pair, const struct tuple *tuple,
                                 int local_is_source, const __u64 secret[2],
                                 struct connection_key *key)
{
    __u64 local = pair->local_number;

    if (!is_icmp(tuple->protocol)) {
        connection_key_ports(pair, tuple, local_is_source, secret, key);
        return;
    }
    if (icmp_is_reply(tuple->protocol, tuple->icmp_type) == !!local_is_source)
        local |= FENCE_LOCAL_ASKED;
    connection_key_of(pair, tuple->protocol, local,
                      tuple->source_port | (__u32)tuple->destination_port << 16, &key->id);
    key->hash = fence_table_hash(&key->id, pair->ends, secret);
}

/* Destination of a connection that was opened in `direction`. */
fence_inline __u32 connection_position(const struct connection_key *key, __u32 direction)
{
    __u16 port = direction == FENCE_EGRESS || is_icmp(key->id.protocol) ? key->id.remote_port
                                                                        : key->id.local_port;

    return FENCE_POSITION(key->id.protocol, port);
}
