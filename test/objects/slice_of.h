/* SPDX-License-Identifier: Apache-2.0 */
/* An AddressSlice as its writer has to make it, word by word of the format in README. */
#pragma once

#include <cjson/cJSON.h>

/* Of Pods and Nodes as the API has them; those that are in no slice are left out. A new text. */
char *slice_of(const char *name, const cJSON *objects);
/* Is a Pod in a slice at all? */
int slice_has(const cJSON *pod);
