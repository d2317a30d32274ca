/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/options_events.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/memory.h"

#define FILTERS_MAX 64
#define SIZE_MIN    (64ull << 10)
#define SIZE_MAX_G  1024u /* GiB */

int fence_option_size(const char *value, uint64_t *ret_size, struct fence_err *err)
{
    static const char units[] = "KMG";
    const char *unit;
    unsigned long long size;
    unsigned int shift = 0;
    char *end;

    errno = 0;
    size = strtoull(value, &end, 10);
    unit = *end ? strchr(units, *end) : NULL;
    if (unit) {
        shift = 10 * (unsigned int)(unit - units + 1);
        end++;
    }
    if (value[0] < '0' || value[0] > '9' || *end || errno ||
        size > (unsigned long long)SIZE_MAX_G << 30 >> shift || size << shift < SIZE_MIN)
        return fence_err_set(err, -EINVAL, "%s is not a size of 64K to %uG, such as 10M", value,
                             SIZE_MAX_G);
    *ret_size = size << shift;
    return 0;
}

int fence_option_files(const char *value, unsigned int *ret_files, struct fence_err *err)
{
    unsigned long files;
    char *end;

    errno = 0;
    files = strtoul(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end || errno || files < 1 ||
        files > FENCE_LOGFILE_FILES)
        return fence_err_set(err, -EINVAL, "%s is not a number of files from 1 to %u", value,
                             FENCE_LOGFILE_FILES);
    *ret_files = (unsigned int)files;
    return 0;
}

int fence_option_event_log(struct fence_options *options, const char *value, struct fence_err *err)
{
    if (!*value)
        return fence_err_set(err, -EINVAL, "a file is needed, or - for standard output");
    options->event_log.file.path = value;
    return 0;
}

int fence_option_event_log_size(struct fence_options *options, const char *value,
                                struct fence_err *err)
{
    return fence_option_size(value, &options->event_log.file.size, err);
}

int fence_option_event_log_files(struct fence_options *options, const char *value,
                                 struct fence_err *err)
{
    return fence_option_files(value, &options->event_log.file.files, err);
}

int fence_option_event_log_filter(struct fence_options *options, const char *value,
                                  struct fence_err *err)
{
    struct fence_event_log_options *log = &options->event_log;
    struct fence_filter filter = {0};
    int result;

    if (log->filter_count >= FILTERS_MAX)
        return fence_err_set(err, -E2BIG, "more than %d filters", FILTERS_MAX);
    result = fence_filter_parse(&filter, value, err);
    if (result == 0 && FENCE_GROW(log->filters, log->filter_capacity, log->filter_count) < 0)
        result = fence_err_set(err, -ENOMEM, "out of memory");
    if (result == 0)
        log->filters[log->filter_count++] = filter;
    else
        fence_filter_done(&filter);
    return result;
}

int fence_option_socket_group(struct fence_options *options, const char *value,
                              struct fence_err *err)
{
    const struct group *group;
    unsigned long number;
    char *end;

    errno = 0;
    number = strtoul(value, &end, 10);
    if (value[0] >= '0' && value[0] <= '9' && !*end && !errno && number < UINT32_MAX) {
        options->socket_group = (int64_t)number;
        return 0;
    }
    group = getgrnam(value);
    if (!group)
        return fence_err_set(err, -EINVAL, "%s is no group of this system, and no group's number",
                             value);
    options->socket_group = group->gr_gid;
    return 0;
}

void fence_options_events_done(struct fence_options *options)
{
    for (size_t i = 0; i < options->event_log.filter_count; i++)
        fence_filter_done(&options->event_log.filters[i]);
    free(options->event_log.filters);
}
