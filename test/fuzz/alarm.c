/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A text as the alarms' configuration, and as what is kept of them. A configuration that is taken
 * has thresholds that the engine can tell; what is kept comes out as it went in.
 */
#include <string.h>

#include "lib/alarm/alarm.h"
#include "lib/base/memory.h"
#include "test/fuzz/fuzz.h"

static void nothing(void *context, struct fence_alarm *alarm, enum fence_alarm_change change)
{
    (void)context;
    (void)alarm;
    (void)change;
}

static void as_config(const char *text, size_t size)
{
    struct fence_alarm_config config;
    struct fence_err err = {""};
    int r = fence_alarm_config_parse(text, size, &config, &err);

    FUZZ_HOLDS(r == 0 || err.text[0]);
    if (r < 0)
        return;
    FUZZ_HOLDS(config.learning_ns && config.cut_seconds && config.max_cuts);
    FUZZ_HOLDS(config.max_cuts <= FENCE_ALARM_CUTS_MAX);
    FUZZ_HOLDS(config.rules[FENCE_ALARM_PORT_SCAN].threshold <= 64);
    FUZZ_HOLDS(config.rules[FENCE_ALARM_PORT_SCAN].within_ms >= 1000);
    FUZZ_HOLDS(config.rules[FENCE_ALARM_FAN_OUT].threshold <= 128);
    FUZZ_HOLDS(!config.rules[FENCE_ALARM_MAP_PRESSURE].cut);
    fence_alarm_config_done(&config);
}

/* What `engine` keeps makes the same of another. */
static void round_trip(const struct fence_alarm_engine *engine, struct fence_alarm_engine *other)
{
    FENCE_FREE char *first = fence_alarm_save(engine), *second = NULL;
    struct fence_err err = {""};

    FUZZ_HOLDS(first && fence_alarm_restore(other, first, strlen(first), &err) == 0);
    second = fence_alarm_save(other);
    FUZZ_HOLDS(second && strcmp(first, second) == 0);
    FUZZ_HOLDS(fence_alarm_bytes(other) <= FENCE_ALARM_BYTES_MAX);
}

static void as_state(const struct fence_alarm_config *config, const char *text, size_t size)
{
    struct fence_alarm_engine *engine = NULL, *other = NULL;
    struct fence_err err = {""};
    int r;

    FUZZ_HOLDS(fence_alarm_new(config, nothing, NULL, &engine) == 0);
    FUZZ_HOLDS(fence_alarm_new(config, nothing, NULL, &other) == 0);
    r = fence_alarm_restore(engine, text, size, &err);
    FUZZ_HOLDS(r == 0 || err.text[0]);
    if (r == 0)
        round_trip(engine, other);
    fence_alarm_free(&engine);
    fence_alarm_free(&other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fence_alarm_config config;
    FENCE_FREE char *text = strndup((const char *)data, size);

    FUZZ_HOLDS(text && fence_alarm_config_defaults(&config) == 0);
    as_config(text, strlen(text));
    as_state(&config, text, strlen(text));
    fence_alarm_config_done(&config);
    return 0;
}
