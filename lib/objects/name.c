/* SPDX-License-Identifier: Apache-2.0 */
/* Syntax of names (apimachinery pkg/util/validation). */
#include <string.h>

#include "lib/objects/decoders.h"

#define LABEL_MAX     63u
#define SUBDOMAIN_MAX 253u
#define PORT_NAME_MAX 15u

static bool is_lower_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* Lower case letters, digits and '-', beginning and ending with one of the former. */
static bool is_label(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        bool edge = i == 0 || i + 1 == length;

        if (!is_lower_or_digit(text[i]) && (edge || text[i] != '-'))
            return false;
    }
    return length > 0;
}

bool fence_name_is_label(const char *name)
{
    size_t length = strlen(name);

    return length <= LABEL_MAX && is_label(name, length);
}

bool fence_name_is_subdomain(const char *name)
{
    if (strlen(name) > SUBDOMAIN_MAX)
        return false;
    for (;;) {
        size_t length = strcspn(name, ".");

        if (!is_label(name, length))
            return false;
        if (!name[length])
            return true;
        name += length + 1;
    }
}

bool fence_name_is_port(const char *name)
{
    size_t length = strlen(name);

    return length <= PORT_NAME_MAX && is_label(name, length) && !strstr(name, "--") &&
           strpbrk(name, "abcdefghijklmnopqrstuvwxyz");
}
