/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses and prefixes of both families in one type (see struct fence_addr in bpf/abi.h). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "bpf/abi.h"

/* Longest text of an address or prefix with its NUL. */
#define FENCE_ADDR_TEXT   48
#define FENCE_PREFIX_TEXT 52

/* A prefix; IPv4 is mapped, so that 10.0.0.0/8 has length 104. Host bits are zero. */
struct fence_prefix {
    struct fence_addr addr;
    unsigned int length;
};

/* "10.0.0.1" or "fd00::1"; a zone or a prefix length is -EINVAL. */
int fence_addr_parse(const char *text, struct fence_addr *ret_addr);
/* From raw bytes in network order, 4 or 16 of them. */
int fence_addr_from_bytes(const void *bytes, size_t size, struct fence_addr *ret_addr);
/* The usual text form into `text`, which is also returned. */
const char *fence_addr_format(const struct fence_addr *addr, char text[FENCE_ADDR_TEXT]);

bool fence_addr_is_ipv4(const struct fence_addr *addr);
bool fence_addr_equal(const struct fence_addr *a, const struct fence_addr *b);
bool fence_addr_is_none(const struct fence_addr *addr);

/*
 * "10.0.0.0/8". Host bits are cleared and *ret_had_host_bits (may be NULL) says so. An IPv4 prefix
 * in mapped IPv6 form, a missing length or leading zeros in it are -EINVAL.
 */
int fence_prefix_parse(const char *text, struct fence_prefix *ret_prefix, bool *ret_had_host_bits);
/*
 * The same, read as the API server reads fields of its older kinds (ParseCIDRSloppy in
 * k8s.io/utils): numbers may begin with zeros and are decimal all the same, and an IPv4 prefix may
 * be in mapped IPv6 form.
 */
int fence_prefix_parse_legacy(const char *text, struct fence_prefix *ret_prefix);
const char *fence_prefix_format(const struct fence_prefix *prefix, char text[FENCE_PREFIX_TEXT]);
bool fence_prefix_is_ipv4(const struct fence_prefix *prefix);
bool fence_prefix_contains(const struct fence_prefix *prefix, const struct fence_addr *addr);
/* True when every address of `inner` is in `outer` (equal prefixes too). */
bool fence_prefix_covers(const struct fence_prefix *outer, const struct fence_prefix *inner);
/* Order for sorting: address bytes, then length, shorter first. */
int fence_prefix_compare(const struct fence_prefix *a, const struct fence_prefix *b);
