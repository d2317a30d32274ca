/* SPDX-License-Identifier: Apache-2.0 */
/* Decoded objects as text, to compare them with what a case says. */
#pragma once

#include "lib/objects/model.h"

/*
 * A few lines, for example
 *   NetworkPolicy/x/p allowlist pods(app In web) ingress:isolates,applies egress:-
 *   ingress 0 allow from pods(a In b),namespaces() ports TCP 80, UDP name:dns
 * A new string.
 */
char *dump_object(const struct fence_object *object);
