/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random worlds: every pair of ends, asked of everybody who can answer, and of plans that follow a
 * changing world. property --help lists the options; what fails can be repeated by its seed.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/base/names.h"
#include "test/policy/property.h"

/* ---- questions ------------------------------------------------------------------------------ */

static bool is_addr(const struct question_end *end)
{
    return strchr(end->text, '/') == NULL;
}

/* The n-th packet of all, or where something leads on mostly one that does. */
static struct question_packet choose(const struct questions *questions, struct rng *rng,
                                     const struct question_end *to)
{
    bool lead = to->leads && questions->leading_count && rng_chance(rng, 70);
    size_t count = lead ? questions->leading_count : questions->packet_count;
    const struct question_packet *from = lead ? questions->leading : questions->packets;

    return from[rng_below(rng, (unsigned int)count)];
}

/* Between two addresses nobody is asked, unless everything is. */
int property_for_each(struct property *property, const struct questions *questions, struct rng *rng,
                      const struct property_visitor *visitor)
{
    size_t ends = questions->end_count;
    int r = 0;

    for (size_t i = 0; r == 0 && i < ends * ends * 2; i++) {
        const struct question_end *from = &questions->ends[i / 2 % ends];
        const struct question_end *to = &questions->ends[i / 2 / ends];
        struct fence_query query = {from->text, to->text, 0, 0, i % 2 ? 6 : 4};
        size_t packets = questions->packet_count;
        bool all = property->packets == 0;

        if (!from->has[i % 2] || !to->has[i % 2] || (is_addr(from) && is_addr(to) && !all))
            continue;
        for (size_t j = 0; r == 0 && j < (all ? packets : property->packets); j++) {
            struct question_packet packet =
                all ? questions->packets[j] : choose(questions, rng, to);

            query.protocol = packet.protocol;
            query.port = packet.port;
            property->tally.questions++;
            r = visitor->visit(visitor->context, &query);
        }
    }
    return r;
}

/* ---- one world ------------------------------------------------------------------------------ */

struct asked {
    struct property *property;
    struct leg_stage *stage;
    struct fence_query failed;
    struct leg_result result;
    struct fence_err err;
};

static int ask(void *context, const struct fence_query *query)
{
    struct asked *asked = context;
    int r = legs_compare(asked->stage, query, &asked->result, &asked->err);

    if (r > 0) {
        property_count(&asked->property->tally, &asked->result.answer);
        return 0;
    }
    asked->failed = *query;
    return 1;
}

static void write_case(const cJSON *world, const char *name)
{
    FENCE_FREE char *text = cJSON_Print(world);
    char path[64];
    FENCE_FCLOSE FILE *file = NULL;

    snprintf(path, sizeof(path), "%s.json", name);
    file = fopen(path, "w");
    if (!file || !text)
        return;
    fprintf(file, "%s\n", text);
    printf("%s\n  this world is in %s\n", text, path);
}

static void report(struct property *property, uint64_t seed, cJSON **world,
                   const struct asked *asked)
{
    struct fence_err how = asked->err;
    const struct fence_query *query = &asked->failed;
    struct shrink shrink = {query, &asked->result, &how};
    char buffer[8];
    char name[40];

    printf("FAIL --seed %" PRIu64 " --worlds 1: %s to %s, %s %u (%u/%u), IPv%d:%s\n", seed,
           query->from, query->to, fence_protocol_name(query->protocol, buffer), query->port,
           query->port >> 8, query->port & 255, query->family, asked->err.text);
    if (property->shrink) {
        shrink_world(world, &shrink);
        printf("  made small:%s\n", how.text);
    }
    snprintf(name, sizeof(name), "property-%" PRIu64, seed);
    shrink_describe(*world, name, query);
    write_case(*world, name);
}

static int run_world(struct property *property, uint64_t seed)
{
    struct rng rng = {seed};
    cJSON *world = random_world(&rng);
    struct leg_stage stage = {0};
    struct questions questions = {0};
    struct asked asked = {.property = property, .stage = &stage};
    struct property_visitor visitor = {ask, &asked};
    int r = leg_stage_load(&stage, world, &asked.err);

    if (r == 0 && property->live)
        r = live_follow(property->live, &stage.file, &asked.err);
    if (r < 0) {
        printf("FAIL --seed %" PRIu64 " --worlds 1: cannot be set up: %s\n", seed, asked.err.text);
        write_case(world, "property-setup");
    } else {
        r = questions_make(&questions, &rng, world, property->edges);
    }
    if (r == 0)
        r = property_for_each(property, &questions, &rng, &visitor);
    if (r > 0)
        report(property, seed, &world, &asked);
    property->tally.failures += r != 0;
    if (property->live && live_leave(property->live, &asked.err) < 0) {
        printf("FAIL --seed %" PRIu64 ": cannot be undone: %s\n", seed, asked.err.text);
        property->tally.failures++;
    }
    leg_stage_done(&stage);
    questions_done(&questions);
    cJSON_Delete(world);
    return r;
}

/* ---- the program ---------------------------------------------------------------------------- */

static const struct option long_options[] = {
    {"worlds", required_argument, NULL, 'w'},    {"seed", required_argument, NULL, 's'},
    {"sequences", required_argument, NULL, 'q'}, {"packets", required_argument, NULL, 'p'},
    {"stats", no_argument, NULL, 't'},           {"shrink", no_argument, NULL, 'k'},
    {"kernel", no_argument, NULL, 'l'},          {NULL, 0, NULL, 0},
};

static const char usage[] =
    "property [--kernel] [--worlds N] [--sequences N] [--seed S] [--packets N] [--stats] "
    "[--shrink]\n"
    "  --kernel       ask the kernel too, by probe programs over live maps; needs root\n"
    "  --worlds N     worlds of which everybody is asked (default 2000)\n"
    "  --sequences N  worlds that change, for plans that follow them (default: worlds / 20)\n"
    "  --seed S       seed of the first world, the next has S + 1 (default 1)\n"
    "  --packets N    packets tried for each pair of ends, 0 = all of interest (default 3)\n"
    "  --stats        how many answers had which reason\n"
    "  --shrink       make a failing world small before it is shown\n";

static struct live kernel;

static int read_option(struct property *property, int option)
{
    switch (option) {
    case 'w':
        property->worlds = strtoull(optarg, NULL, 0);
        return 0;
    case 's':
        property->seed = strtoull(optarg, NULL, 0);
        return 0;
    case 'q':
        property->sequences = strtoull(optarg, NULL, 0);
        return 0;
    case 'p':
        property->packets = strtoul(optarg, NULL, 0);
        return 0;
    case 't':
        property->stats = true;
        return 0;
    case 'k':
        property->shrink = true;
        return 0;
    case 'l':
        property->live = &kernel;
        return 0;
    default:
        return -EINVAL;
    }
}

int main(int argc, char **argv)
{
    struct property property = {
        .worlds = 2000, .sequences = UINT64_MAX, .seed = 1, .packets = 3, .edges = 6};
    struct fence_err err = {0};
    int option;

    setvbuf(stdout, NULL, _IOLBF, 0);
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) >= 0)
        if (read_option(&property, option) < 0) {
            fputs(usage, stderr);
            return 2;
        }
    if (property.live && reconciler_setup(&err) < 0) {
        fprintf(stderr, "property: %s\n", err.text);
        return 1;
    }
    if (property.sequences == UINT64_MAX)
        property.sequences = property.worlds / 20;
    for (uint64_t i = 0; i < property.worlds && property.tally.failures < PROPERTY_MOST; i++)
        run_world(&property, property.seed + i);
    for (uint64_t i = 0; i < property.sequences && property.tally.failures < PROPERTY_MOST; i++)
        property_run_sequence(&property, property.seed + i);
    live_done(&kernel);
    if (property.stats)
        property_show(&property.tally);
    printf("%" PRIu64 " worlds, %" PRIu64 " sequences, %" PRIu64 " questions, %" PRIu64
           " between writes (%" PRIu64 " refused at a restart), %" PRIu64 " failures (seed %" PRIu64
           ")\n",
           property.worlds, property.sequences, property.tally.questions, property.tally.moments,
           property.tally.refused, property.tally.failures, property.seed);
    return property.tally.failures ? 1 : 0;
}
