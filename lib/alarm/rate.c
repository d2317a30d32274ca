/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/alarm/rate.h"

#include <math.h>
#include <string.h>

#define LEARN 0.03 /* of a part's count goes into the mean: about half of it in 23 parts */
#define SLOW  (LEARN / 16)

/* After so many parts without anything, nothing of before is left. */
#define ROLL_MAX 300u

uint64_t fence_tally_add(struct fence_tally *tally, uint32_t count, uint64_t now_ns,
                         uint64_t window_ns)
{
    uint64_t part = now_ns / (window_ns / FENCE_TALLY_PARTS);
    uint32_t *now = &tally->counts[part % FENCE_TALLY_PARTS];
    uint64_t sum = 0;

    /* the window has changed its length: it begins anew */
    if (part + FENCE_TALLY_PARTS < tally->part)
        *tally = (struct fence_tally){.part = part};
    if (part < tally->part) /* a little late: it counts as now */
        now = &tally->counts[tally->part % FENCE_TALLY_PARTS];
    else if (part - tally->part >= FENCE_TALLY_PARTS)
        memset(tally->counts, 0, sizeof(tally->counts));
    else
        for (uint64_t i = tally->part + 1; i <= part; i++)
            tally->counts[i % FENCE_TALLY_PARTS] = 0;
    if (part > tally->part)
        tally->part = part;
    *now = count > UINT32_MAX - *now ? UINT32_MAX : *now + count;
    for (unsigned int i = 0; i < FENCE_TALLY_PARTS; i++)
        sum += tally->counts[i];
    return sum;
}

static void learn(struct fence_rate *rate, double count)
{
    double by = rate->unusual ? SLOW : LEARN;

    /* the first few are the mean, or it would begin at 0 and be long on its way */
    if (rate->parts < FENCE_RATE_WARM)
        rate->parts++;
    if (!rate->unusual && by * rate->parts < 1)
        by = 1.0 / rate->parts;
    rate->deviation += by * (fabs(count - rate->mean) - rate->deviation);
    rate->mean += by * (count - rate->mean);
}

void fence_rate_roll(struct fence_rate *rate, uint64_t now_ns)
{
    uint64_t part = now_ns / FENCE_RATE_PART_NS;

    if (!rate->part)
        rate->part = part;
    if (part <= rate->part)
        return;
    if (part - rate->part > ROLL_MAX)
        rate->part = part - ROLL_MAX;
    for (; rate->part < part; rate->part++) {
        learn(rate, rate->count);
        rate->count = 0;
    }
}

void fence_rate_add(struct fence_rate *rate, uint32_t count, uint64_t now_ns)
{
    fence_rate_roll(rate, now_ns);
    rate->count = count > UINT32_MAX - rate->count ? UINT32_MAX : rate->count + count;
}

uint32_t fence_rate_limit(const struct fence_rate *rate, uint32_t least, uint32_t deviations)
{
    double limit = least;

    if (rate->parts < FENCE_RATE_WARM)
        return UINT32_MAX;
    limit = fmax(limit, rate->mean + deviations * fmax(rate->deviation, 1));
    limit = fmax(limit, 3 * rate->mean);
    return limit < UINT32_MAX ? (uint32_t)ceil(limit) : UINT32_MAX;
}
