/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is accepted, what is refused, and what is made of it. A file holds cases, YAML or JSON:
 *   name     shown when it fails
 *   valid    false: every object of it is refused
 *   policy   the object; or `text`, a whole file
 *   options  [audit-annotation, audit-all], in force while it is decoded
 *   error    words of the reason (of each refused object, joined by newlines)
 *   warning  words of the warnings; the project's own cases must have it when there is one
 *   shows    what the objects are, as dump.h has it, joined by newlines
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct object_cases {
    size_t cases;
    size_t failures;
    bool own; /* of the project: warnings and reasons are stated */
};

/* Run the cases of a file; failures go to stdout. */
void object_cases_file(const char *path, struct object_cases *tally);
