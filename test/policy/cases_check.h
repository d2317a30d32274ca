/* SPDX-License-Identifier: Apache-2.0 */
/* One line of a reachability file, asked of every leg. */
#pragma once

#include "test/policy/legs.h"

/* What became of a line for one family. */
struct case_outcome {
    bool asked[LEGS];
    bool failed[LEGS]; /* not what the file says, or not what the evaluator says */
    char text[4096];   /* what was expected and all answers, when one failed */
};

/* Does the line hold for the family, and have both ends an address of it? */
bool case_has_family(const struct leg_stage *stage, const cJSON *line, int family);
/* 1 when all legs say what the line says, 0 when not; negative when the line cannot be asked, with
 * the reason in outcome->text. */
int case_check(const struct leg_stage *stage, const cJSON *line, int family,
               struct case_outcome *ret_outcome);
