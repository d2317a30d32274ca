/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"
#include "test/bench/hooks.h"
#include "test/bench/machine.h"

#define LOWER    0.25
#define MEDIAN   0.5
#define UPPER    0.75
#define EXPECTED 0.999 /* less of the packets is worth a word */

static struct hooks_cell *find(struct hooks_cells *cells, const struct shop *world,
                               const struct hooks_row *row, const struct hooks_column *column)
{
    for (size_t i = 0; i < cells->count; i++) {
        struct hooks_cell *cell = &cells->items[i];

        if (cell->world == world && cell->row == row && cell->column == column)
            return cell;
    }
    return NULL;
}

static double median(struct hooks_cell *cell)
{
    return bench_samples_at(&cell->ns, MEDIAN);
}

static const char *shown(struct hooks_cell *cell, char text[48])
{
    snprintf(text, 48, "%.0f (%.0f to %.0f)", median(cell), bench_samples_at(&cell->ns, LOWER),
             bench_samples_at(&cell->ns, UPPER));
    return text;
}

static void show_notes(const struct shop *world, struct hooks_cells *cells)
{
    for (size_t i = 0; i < cells->count; i++) {
        const struct hooks_cell *cell = &cells->items[i];

        if (cell->world != world || cell->row->empty)
            continue;
        if (cell->as_expected < EXPECTED)
            printf("  ! %s, %s: only %.2f %% were %s\n", cell->row->name, cell->column->name,
                   100 * cell->as_expected,
                   cell->row->denied   ? "dropped"
                   : cell->row->within ? "handed over"
                                       : "passed");
        if (cell->reason_share < EXPECTED)
            printf("  ! %s, %s: counted as %s only %.2f %%\n", cell->row->name, cell->column->name,
                   cell->reason, 100 * cell->reason_share);
    }
}

void hooks_report_world(const struct shop *world, struct hooks_cells *cells)
{
    char text[48];

    printf("\nIPv%d, %u rule%s in a policy, %u addresses\n  %-24s", world->family, world->rules,
           world->rules == 1 ? "" : "s", world->remotes, "ns over the empty program");
    for (size_t i = 0; i < hooks_column_count; i++)
        if (hooks_columns[i].peers <= world->remotes)
            printf("%20s", hooks_columns[i].name);
    printf("   by\n");
    for (size_t i = 0; i < hooks_row_count; i++) {
        const char *reason = "";

        printf("  %-25s", hooks_rows[i].name);
        for (size_t j = 0; j < hooks_column_count; j++) {
            struct hooks_cell *cell = find(cells, world, &hooks_rows[i], &hooks_columns[j]);

            if (hooks_columns[j].peers > world->remotes)
                continue;
            printf("%20s", cell ? shown(cell, text) : "");
            if (!cell)
                continue;
            reason = cell->row->empty ? "" : cell->reason;
        }
        printf("   %s\n", reason);
    }
    show_notes(world, cells);
    fflush(stdout);
}

/* ---- targets -------------------------------------------------------------------------------- */

/* Of the rows whose flags these are; of every world. */
static const struct target {
    const char *name;
    bool reply;
    bool fresh;
    size_t column;
    double most;
} targets[] = {
    {"established, 1 flow", false, false, 0, 20},
    {"established, 64,000 flows", false, false, 2, 20},
    {"reply, 1 flow", true, false, 0, 20},
    {"reply, 64,000 flows", true, false, 2, 170},
    {"first packet, 1 peer", false, true, 0, 200},
    {"first packet, 250 peers", false, true, 2, 200},
};

static bool is_of(const struct hooks_cell *cell, const struct target *target)
{
    const struct hooks_row *row = cell->row;

    return !row->denied && !row->empty && !row->within && row->protocol == IPPROTO_TCP &&
           row->reply == target->reply && row->fresh == target->fresh &&
           cell->column == &hooks_columns[target->column];
}

unsigned int hooks_report_targets(struct hooks_cells *cells)
{
    unsigned int missed = 0;

    printf("\nthe empty program takes %.1f ns; in %zu of %zu rounds it took a twentieth more: the "
           "machine had other work, most of those were repeated\n",
           cells->quiet_ns[0][0], cells->disturbed, cells->rounds);
    printf("\n%-32s at most   worst median\n", "targets, TCP (ns)");
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(targets); i++) {
        struct hooks_cell *worst = NULL;

        for (size_t j = 0; j < cells->count; j++)
            if (is_of(&cells->items[j], &targets[i]) &&
                (!worst || median(&cells->items[j]) > median(worst)))
                worst = &cells->items[j];
        if (!worst)
            continue;
        missed += median(worst) > targets[i].most;
        printf("  %-30s %7.0f %14.0f  %-6s %s; IPv%d, rules %u, addresses %u\n", targets[i].name,
               targets[i].most, median(worst), median(worst) > targets[i].most ? "MISSED" : "met",
               worst->row->name, worst->world->family, worst->world->rules, worst->world->remotes);
    }
    for (size_t i = 0; i < cells->count; i++)
        if (cells->items[i].as_expected < EXPECTED)
            missed++;
    return missed;
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static void write_cell(FILE *out, struct hooks_cell *cell)
{
    fprintf(out,
            "{\"family\":%d,\"rules\":%u,\"addresses\":%u,\"row\":\"%s\",\"column\":\"%s\","
            "\"median\":%.2f,\"lower\":%.2f,\"upper\":%.2f,\"empty\":%.2f,"
            "\"asExpected\":%.5f,\"reason\":\"%s\",\"reasonShare\":%.5f}",
            cell->world->family, cell->world->rules, cell->world->remotes, cell->row->name,
            cell->column->name, median(cell), bench_samples_at(&cell->ns, LOWER),
            bench_samples_at(&cell->ns, UPPER), cell->empty_ns, cell->as_expected, cell->reason,
            cell->reason_share);
}

int hooks_report_json(const char *path, struct hooks_cells *cells, unsigned int rounds)
{
    FENCE_FCLOSE FILE *out = fopen(path, "w");
    char machine[BENCH_MACHINE_TEXT];

    if (!out)
        return -errno;
    fprintf(out,
            "{\"machine\":\"%s\",\"rounds\":%u,\"emptyNs\":%.2f,\"disturbed\":%.4f,\n"
            "\"cells\":[",
            bench_machine(machine), rounds, cells->quiet_ns[0][0],
            cells->rounds ? (double)cells->disturbed / (double)cells->rounds : 0);
    for (size_t i = 0; i < cells->count; i++) {
        fprintf(out, "%s\n", i ? "," : "");
        write_cell(out, &cells->items[i]);
    }
    fprintf(out, "\n]}\n");
    return fflush(out) == 0 && !ferror(out) ? 0 : -EIO;
}
