/* SPDX-License-Identifier: Apache-2.0 */
/* Do the random worlds ask about everything? */
#include <inttypes.h>
#include <stdio.h>

#include "lib/base/names.h"
#include "test/policy/property.h"

void property_count(struct property_tally *tally, const struct leg_answer *answer)
{
    uint8_t verdict = FENCE_ALLOW, shadow = FENCE_ALLOW;

    for (int direction = 0; direction < FENCE_DIRECTIONS; direction++) {
        const struct leg_side *side = &answer->sides[direction];

        verdict = leg_verdict_of_both(verdict, side->verdict);
        shadow = leg_verdict_of_both(shadow, side->shadow);
        tally->reasons[direction][side->reason]++;
    }
    tally->counted++;
    tally->allowed += verdict == FENCE_ALLOW;
    tally->mixed += verdict == FENCE_DEFER;
    tally->shadow_differs += verdict != shadow;
}

void property_show(const struct property_tally *tally)
{
    double all = tally->counted ? (double)tally->counted : 1;

    printf("allowed %.1f %%, mixed %.1f %%, another verdict with Audit policies %.1f %%\n",
           100 * (double)tally->allowed / all, 100 * (double)tally->mixed / all,
           100 * (double)tally->shadow_differs / all);
    printf("%-20s %12s %12s\n", "reason", "egress", "ingress");
    for (unsigned int reason = 0; reason < FENCE_REASON_COUNT; reason++) {
        uint64_t egress = tally->reasons[FENCE_EGRESS][reason];
        uint64_t ingress = tally->reasons[FENCE_INGRESS][reason];

        if (egress || ingress)
            printf("%-20s %12" PRIu64 " %12" PRIu64 "\n", fence_reason_name(reason), egress,
                   ingress);
    }
}
