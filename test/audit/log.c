/* SPDX-License-Identifier: Apache-2.0 */
#include "test/audit/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/file.h"
#include "lib/base/memory.h"
#include "test/cmocka.h"

#define FILES 20

const struct fence_audit_key no_key = {.keyed = false};

void log_folder_make(struct log_folder *folder)
{
    snprintf(folder->path, sizeof(folder->path), "/tmp/fence-audit.XXXXXX");
    assert_non_null(mkdtemp(folder->path));
    snprintf(folder->file, sizeof(folder->file), "%s/audit.log", folder->path);
}

void log_folder_remove(struct log_folder *folder)
{
    for (unsigned int number = 0; number < FILES; number++)
        (void)unlink(log_file(folder, number));
    assert_int_equal(rmdir(folder->path), 0);
}

const char *log_file(const struct log_folder *folder, unsigned int number)
{
    static char name[128];

    if (!number)
        return folder->file;
    snprintf(name, sizeof(name), "%s.%u", folder->file, number);
    return name;
}

char *log_read(const char *path, size_t *ret_size)
{
    char *data = NULL;
    struct fence_err err = {""};

    assert_int_equal(fence_file_read(AT_FDCWD, path, 1 << 24, &data, ret_size, &err), 0);
    return data;
}

void log_write(const char *path, const char *data, size_t size)
{
    FENCE_FCLOSE FILE *file = fopen(path, "we");

    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
}

struct fence_audit_writer *log_open(const struct log_folder *folder,
                                    const struct fence_audit_key *key, size_t file_max)
{
    const struct fence_audit_writer_options options = {
        .path = folder->file, .node_name = "n1", .key = key, .file_max = file_max, .files = FILES};
    struct fence_audit_writer *writer = NULL;
    struct fence_err err = {""};

    if (fence_audit_writer_new(&options, &writer, &err) < 0)
        fail_msg("%s", err.text);
    return writer;
}

void log_put(struct fence_audit_writer *writer, unsigned int count)
{
    for (unsigned int i = 0; i < count; i++) {
        struct fence_audit_text *text =
            fence_audit_writer_begin(writer, fence_clock_wall_ns(), "test", 512);

        if (!text)
            continue;
        fence_audit_member_number(text, "number", i);
        fence_audit_member(text, "text", "a \"quoted\" \x1b[31m text");
        fence_audit_writer_end(writer);
    }
}

struct fence_audit_verdict log_verify(const struct log_folder *folder, unsigned int files,
                                      const struct fence_audit_key *key)
{
    FENCE_FREE struct fence_audit_verify *verify = calloc(1, sizeof(*verify));
    struct fence_err err = {""};

    assert_non_null(verify);
    verify->key = key;
    for (unsigned int number = files; number-- > 0;) {
        FENCE_FCLOSE FILE *file = fopen(log_file(folder, number), "re");

        assert_non_null(file);
        if (fence_audit_verify_file(verify, file, number == 0, &err) < 0)
            fail_msg("%s", err.text);
    }
    return verify->verdict;
}
