/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of objects, its store and its state, for the tests of lib/objects/folder.h. */
#pragma once

#include "lib/objects/folder.h"

/* A folder of objects and one for the state, under one temporary folder. */
struct lab {
    char root[64];
    char objects[96];
    char state[96];
    struct fence_store *store;
    struct fence_folder *folder;
};

#define NAMESPACE(name) "apiVersion: v1\nkind: Namespace\nmetadata: { name: " name " }\n"
#define LABELLED(name, value)                                                                      \
    "apiVersion: v1\nkind: Namespace\nmetadata: { name: " name ", labels: { a: " value " } }\n"

/* For cmocka: *state is a struct lab with a folder and a store, nothing read yet. */
int lab_set_up(void **state);
int lab_tear_down(void **state);
void lab_start(struct lab *lab);
void lab_stop(struct lab *lab);
void lab_restart(struct lab *lab);

void lab_path_of(const struct lab *lab, const char *name, char path[256]);
/* In place, as an editor does that truncates. */
void lab_write_file(const struct lab *lab, const char *name, const char *text);
void lab_remove_file(const struct lab *lab, const char *name);

/* 1 when objects changed. */
int lab_read_now(struct lab *lab);
/* What the daemon's loop does, until something changed (1) or time is up (0). */
int lab_follow(struct lab *lab);

/* Names of the namespaces in force with their label a. */
void lab_assert_namespaces(const struct lab *lab, const char *wanted);
/* There are so many problems, and all have these words. */
void lab_assert_problem(const struct lab *lab, size_t count, const char *unit, const char *words);
unsigned int lab_state_files(const struct lab *lab);
