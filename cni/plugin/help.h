/* SPDX-License-Identifier: Apache-2.0 */
/* For a person, who calls the plugin without CNI_COMMAND. */
#pragma once

#include <stdbool.h>

/* --help[=text|man|bash]: the keys of the chain entry as text or manual page, or what completion
 * asks, on standard output; false = `argument` is another. */
bool fence_plugin_help(const char *argument);
