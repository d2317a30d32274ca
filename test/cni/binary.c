/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plugin is copied onto whatever distribution the host has, from an image that every node
 * pulls: one file, which needs no loader and no library, and is small.
 */
#include <elf.h>
#include <stdio.h>
#include <string.h>

#include "test/cmocka.h"

#define PLUGIN     FENCE_BIN_DIR "/podfence"
#define SIZE_LIMIT (2 << 20)

static FILE *open_plugin(Elf64_Ehdr *ret_header)
{
    FILE *file = fopen(PLUGIN, "re");

    if (!file)
        fail_msg("%s: cannot be opened", PLUGIN);
    assert_int_equal(fread(ret_header, sizeof(*ret_header), 1, file), 1);
    assert_memory_equal(ret_header->e_ident, ELFMAG, SELFMAG);
    assert_int_equal(ret_header->e_ident[EI_CLASS], ELFCLASS64);
    assert_int_equal(ret_header->e_phentsize, sizeof(Elf64_Phdr));
    return file;
}

/* A static program may still have a dynamic section (static-pie), but then it names no library. */
static void expect_no_library(FILE *file, const Elf64_Phdr *segment)
{
    assert_int_equal(fseek(file, (long)segment->p_offset, SEEK_SET), 0);
    for (size_t i = 0; i < segment->p_filesz / sizeof(Elf64_Dyn); i++) {
        Elf64_Dyn entry;

        assert_int_equal(fread(&entry, sizeof(entry), 1, file), 1);
        assert_int_not_equal(entry.d_tag, DT_NEEDED);
    }
}

static void test_is_static(void **state)
{
    Elf64_Ehdr header;
    FILE *file = open_plugin(&header);
    size_t loaded = 0;

    (void)state;
    for (size_t i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr segment;

        assert_int_equal(fseek(file, (long)(header.e_phoff + i * sizeof(segment)), SEEK_SET), 0);
        assert_int_equal(fread(&segment, sizeof(segment), 1, file), 1);
        loaded += segment.p_type == PT_LOAD;
        assert_int_not_equal(segment.p_type, PT_INTERP);
        if (segment.p_type == PT_DYNAMIC)
            expect_no_library(file, &segment);
    }
    assert_true(loaded > 0);
    fclose(file);
}

static void test_is_small(void **state)
{
    Elf64_Ehdr header;
    FILE *file = open_plugin(&header);
    long size;

    (void)state;
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    size = ftell(file);
    fclose(file);
    if (size <= 0 || size >= SIZE_LIMIT)
        fail_msg("%s has %ld bytes, to be below %d", PLUGIN, size, SIZE_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is_static),
        cmocka_unit_test(test_is_small),
    };

    return cmocka_run_group_tests_name("cni.binary", tests, NULL, NULL);
}
