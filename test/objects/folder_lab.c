/* SPDX-License-Identifier: Apache-2.0 */
#include "test/objects/folder_lab.h"

#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/memory.h"
#include "test/cmocka.h"

#define WAIT_MS 3000

void lab_start(struct lab *lab)
{
    struct fence_err err = {0};

    assert_int_equal(fence_store_new(&lab->store), 0);
    if (fence_folder_new(lab->objects, 0, lab->state, &lab->folder, &err) < 0)
        fail_msg("%s", err.text);
}

void lab_stop(struct lab *lab)
{
    fence_folder_free(&lab->folder);
    fence_store_free(&lab->store);
}

void lab_restart(struct lab *lab)
{
    lab_stop(lab);
    lab_start(lab);
}

int lab_set_up(void **state)
{
    struct lab *lab = calloc(1, sizeof(*lab));

    snprintf(lab->root, sizeof(lab->root), "/tmp/fence-folder-XXXXXX");
    if (!mkdtemp(lab->root))
        return -1;
    snprintf(lab->objects, sizeof(lab->objects), "%s/objects", lab->root);
    snprintf(lab->state, sizeof(lab->state), "%s/var/state", lab->root);
    if (mkdir(lab->objects, 0755) < 0)
        return -1;
    lab_start(lab);
    *state = lab;
    return 0;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

int lab_tear_down(void **state)
{
    struct lab *lab = *state;
    int r;

    lab_stop(lab);
    r = nftw(lab->root, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    free(lab);
    return r;
}

void lab_path_of(const struct lab *lab, const char *name, char path[256])
{
    snprintf(path, 256, "%s/%s", lab->objects, name);
}

void lab_write_file(const struct lab *lab, const char *name, const char *text)
{
    FENCE_CLOSE int fd = -1;
    char path[256];

    lab_path_of(lab, name, path);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

void lab_remove_file(const struct lab *lab, const char *name)
{
    char path[256];

    lab_path_of(lab, name, path);
    assert_int_equal(unlink(path), 0);
}

int lab_read_now(struct lab *lab)
{
    struct fence_err err = {0};
    int r = fence_folder_read(lab->folder, lab->store, &err);

    if (r < 0)
        fail_msg("%s", err.text);
    return r;
}

int lab_follow(struct lab *lab)
{
    struct pollfd wait = {.fd = fence_folder_fd(lab->folder), .events = POLLIN};
    int due = -1;

    for (int left = WAIT_MS; left > 0;) {
        int step = due >= 0 && due < left ? due : left;

        if (poll(&wait, 1, step) == 0 && due < 0)
            return 0;
        due = fence_folder_handle(lab->folder);
        if (due == 0 && lab_read_now(lab))
            return 1;
        if (due == 0)
            due = -1;
        left -= 1;
    }
    return 0;
}

void lab_assert_namespaces(const struct lab *lab, const char *wanted)
{
    const struct fence_object *const *objects;
    size_t count = fence_store_objects(lab->store, &objects);
    char text[1024] = "";

    for (size_t i = 0; i < count; i++) {
        const char *label = fence_labels_get(objects[i]->namespace_labels, "a");
        size_t used = strlen(text);

        snprintf(text + used, sizeof(text) - used, "%s%s%s%s", used ? " " : "", objects[i]->name,
                 label ? "=" : "", label ? label : "");
    }
    assert_string_equal(text, wanted);
}

void lab_assert_problem(const struct lab *lab, size_t count, const char *unit, const char *words)
{
    const struct fence_problem *problems;
    size_t found = fence_store_problems(lab->store, &problems);

    if (found != count)
        fail_msg("%zu problems, the first: %s: %s", found, found ? problems[0].unit : "",
                 found ? problems[0].text : "");
    for (size_t i = 0; i < found; i++)
        if (!strstr(problems[i].unit, unit) || !strstr(problems[i].text, words))
            fail_msg("%s: %s", problems[i].unit, problems[i].text);
}

unsigned int lab_state_files(const struct lab *lab)
{
    char command[256];
    unsigned int count = 0;
    FILE *out;

    snprintf(command, sizeof(command), "ls -A %s | wc -l", lab->state);
    out = popen(command, "re");
    assert_int_equal(fscanf(out, "%u", &count), 1);
    pclose(out);
    return count;
}
