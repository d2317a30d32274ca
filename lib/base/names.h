/* SPDX-License-Identifier: Apache-2.0 */
/* Names of the numbers in bpf/abi.h, as users and JSON see them. */
#pragma once

#include <stddef.h>
#include <stdio.h>

#include "bpf/abi.h"

/* Never NULL; "unknown" for a number out of range. */
const char *fence_reason_name(unsigned int reason);
const char *fence_direction_name(unsigned int direction);        /* "egress", "ingress" */
const char *fence_verdict_name(unsigned int verdict);            /* "deny", "allow", "mixed" */
const char *fence_attach_name(unsigned int attach);              /* "none", "tcx", "clsact" */
const char *fence_identity_reserved_name(unsigned int identity); /* "host", "world", ... */

/* "TCP", "UDP", "SCTP", "ICMP", "ICMPv6", else the number into `buffer`. */
const char *fence_protocol_name(unsigned int protocol, char buffer[8]);
/* Upper case name or number 0 to 255; -EINVAL. */
int fence_protocol_parse(const char *text, unsigned int *ret_protocol);

/*
 * Text from the cluster for a terminal: control characters (C0, DEL, C1), invalid UTF-8 and
 * bidirectional overrides come out as \xNN of their bytes.
 */
void fence_print_safe(FILE *out, const char *text);
