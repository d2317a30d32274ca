/* SPDX-License-Identifier: Apache-2.0 */
/* A podfenced of our own: in its own mount and network namespace, on its own BPF file system. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include <cjson/cJSON.h>

struct daemon_lab {
    char root[64];    /* everything below is in it */
    char objects[96]; /* --objects */
    char state[96];
    char mount[96]; /* BPF file system */
    char bpffs[96];
    char socket[96];
    char log[96]; /* what the daemon wrote to standard error, of all its lives */
    pid_t pid;    /* 0 = does not run */
};

/* Once a process: namespaces of its own. False when not allowed (not root). */
bool daemon_lab_enter(void);

/* Fresh folders, no daemon yet. cmocka's setup and teardown. */
int daemon_lab_setup(void **state);
int daemon_lab_teardown(void **state);

/* Start and wait until it answers. `extra` are more options, NULL-terminated; may be NULL. */
void daemon_start(struct daemon_lab *lab, const char *const *extra);
/* Start and do not wait. */
void daemon_spawn(struct daemon_lab *lab, const char *const *extra);
/* Signal it, wait for its end; the exit status, or 128 + the signal that ended it. */
int daemon_stop(struct daemon_lab *lab, int signal);
/* Wait for its end. */
int daemon_wait(struct daemon_lab *lab);

/* Run podfenced with these arguments to its end: exit status; output and errors into `text`. */
int daemon_run(const char *const *argv, char *text, size_t size);

/* Write a file of the objects folder, as kubelet would not: in place. */
void daemon_write(const struct daemon_lab *lab, const char *name, const char *text);
void daemon_remove(const struct daemon_lab *lab, const char *name);

/* Connected descriptor; fails the test. */
int daemon_connect(const struct daemon_lab *lab);
/* Send without waiting; the result of fence_api_send_text. */
int daemon_tell(int fd, const char *text);
/* One request on a connection of its own; the caller deletes. Fails the test without an answer. */
cJSON *daemon_ask(const struct daemon_lab *lab, const char *request);
/* The status member of the answer to status. */
cJSON *daemon_status(const struct daemon_lab *lab);

/* Number at a path such as "lastApply.writes"; -1 when it is not there, booleans are 0 and 1. */
double json_number(const cJSON *json, const char *path);
/* Wait at most 5 s until status has this number at this path. */
void daemon_expect(const struct daemon_lab *lab, const char *path, double wanted);

/* Does the log hold this text? */
bool daemon_logged(const struct daemon_lab *lab, const char *text);

void sleep_ms(int ms);
