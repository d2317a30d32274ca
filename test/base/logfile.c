/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "lib/base/file.h"
#include "lib/base/memory.h"
#include "test/cmocka.h"

#define LIMIT 4096u
#define FILES 60u /* that any of these makes */

static char folder[] = "/tmp/podfence-test-logfile-XXXXXX";
static char path[64];

static int setup(void **state)
{
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/events.log", folder);
    return 0;
}

static void name_of(unsigned int number, char name[PATH_MAX])
{
    if (number)
        snprintf(name, PATH_MAX, "%s.%u", path, number);
    else
        snprintf(name, PATH_MAX, "%s", path);
}

static int clean(void **state)
{
    char name[PATH_MAX];

    (void)state;
    for (unsigned int i = 0; i < FILES; i++) {
        name_of(i, name);
        unlink(name);
    }
    return 0;
}

static int teardown(void **state)
{
    clean(state);
    return rmdir(folder);
}

static void begin(struct fence_logfile *log, uint64_t size, unsigned int files)
{
    const struct fence_logfile_options options = {.path = path, .size = size, .files = files};

    assert_int_equal(fence_logfile_init(log, &options), 0);
}

/* Line `number`, of a length that differs from line to line. */
static size_t make_line(unsigned int number, char text[256])
{
    int used = snprintf(text, 256, "%u ", number);

    memset(text + used, 'x', number * 7 % 90);
    text[(size_t)used + number * 7 % 90] = '\0';
    return strlen(text);
}

static void add_lines(struct fence_logfile *log, unsigned int from, unsigned int to)
{
    char text[256];

    for (unsigned int i = from; i < to; i++)
        assert_int_equal(fence_logfile_add(log, text, make_line(i, text)), 0);
}

static char *content(unsigned int number, size_t *ret_size)
{
    struct fence_err err = {""};
    char name[PATH_MAX];
    char *data = NULL;

    name_of(number, name);
    *ret_size = 0;
    if (access(name, F_OK) == 0)
        assert_int_equal(fence_file_read(AT_FDCWD, name, 1 << 24, &data, ret_size, &err), 0);
    return data;
}

/* The file's lines are `*next` and so on, whole. */
static void check_lines(const char *data, unsigned int *next)
{
    char text[256];

    while (*data) {
        size_t size = make_line((*next)++, text);

        assert_memory_equal(data, text, size);
        assert_int_equal(data[size], '\n');
        data += size + 1;
    }
}

/* All files from the oldest on are lines `from` to `to`. Returns how many files there are. */
static unsigned int check_files(unsigned int from, unsigned int to, size_t size_max)
{
    unsigned int next = from, files = 0;

    for (unsigned int i = FILES; i-- > 0;) {
        size_t size;
        FENCE_FREE char *data = content(i, &size);

        if (!data)
            continue;
        files++;
        assert_true(size <= size_max);
        check_lines(data, &next);
    }
    assert_int_equal(next, to);
    return files;
}

static void lines_and_mode(void **state)
{
    struct fence_logfile log;
    struct stat info;

    (void)state;
    begin(&log, 0, 1);
    add_lines(&log, 0, 100);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(fence_logfile_flush(&log, NULL), 0);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    add_lines(&log, 100, 110);
    fence_logfile_done(&log);
    assert_int_equal(check_files(0, 110, SIZE_MAX), 1);

    begin(&log, 0, 1); /* goes on */
    add_lines(&log, 110, 120);
    fence_logfile_done(&log);
    assert_int_equal(check_files(0, 120, SIZE_MAX), 1);
}

/* Nothing is lost however the flushes fall, no file is too large, and nearly none is half empty. */
static void rotation(void **state)
{
    struct fence_logfile log;
    unsigned int files;
    unsigned int next = 0;

    (void)state;
    begin(&log, LIMIT, 60);
    for (unsigned int i = 0; i < 200; i++) {
        add_lines(&log, next, next + i % 37);
        next += i % 37;
        assert_int_equal(fence_logfile_flush(&log, NULL), 0);
    }
    fence_logfile_done(&log);
    files = check_files(0, next, LIMIT);
    assert_in_range(files, 40, 50);
    assert_int_equal(log.lines, next);
    assert_int_equal(log.dropped, 0);
}

static void oldest_goes(void **state)
{
    struct fence_logfile log;
    size_t size;
    char *oldest;

    (void)state;
    begin(&log, LIMIT, 3);
    add_lines(&log, 0, 2000);
    fence_logfile_done(&log);
    oldest = content(2, &size);
    assert_non_null(oldest);
    assert_int_equal(check_files((unsigned int)strtoul(oldest, NULL, 10), 2000, LIMIT), 3);
    free(oldest);

    clean(NULL);
    begin(&log, LIMIT, 1);
    add_lines(&log, 0, 200);
    fence_logfile_done(&log);
    oldest = content(0, &size);
    assert_int_equal(check_files((unsigned int)strtoul(oldest, NULL, 10), 200, LIMIT), 1);
    free(oldest);
}

/* A line that is larger than a file may be has one of its own. */
static void long_line(void **state)
{
    static char text[20000];
    struct fence_logfile log;
    size_t size;
    char *data;

    (void)state;
    memset(text, 'y', sizeof(text));
    begin(&log, LIMIT, 5);
    add_lines(&log, 0, 1);
    assert_int_equal(fence_logfile_add(&log, text, sizeof(text)), 0);
    assert_int_equal(fence_logfile_add(&log, "z", 1), 0);
    assert_int_equal(fence_logfile_add(&log, text, FENCE_LOGFILE_FULL), -EMSGSIZE);
    fence_logfile_done(&log);
    data = content(1, &size);
    assert_int_equal(size, sizeof(text) + 1);
    free(data);
    data = content(0, &size);
    assert_string_equal(data, "z\n");
    free(data);
    assert_int_equal(log.dropped, 1);
}

static void limit_files(rlim_t size)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = size;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* No room in the middle of a line: what waits is bounded and counted, and goes on in that line. */
static void no_room(void **state)
{
    struct fence_logfile log;
    struct fence_err err = {""};
    unsigned int next = 50;
    char text[256];

    (void)state;
    begin(&log, 1 << 22, 3);
    add_lines(&log, 0, 50);
    limit_files(1001);
    assert_int_equal(fence_logfile_flush(&log, &err), -EFBIG);
    assert_non_null(strstr(err.text, path));
    while (fence_logfile_add(&log, text, make_line(next, text)) == 0)
        next++;
    assert_int_equal(fence_logfile_add(&log, text, strlen(text)), -ENOBUFS);
    assert_int_equal(log.dropped, 2);
    assert_int_equal(fence_logfile_flush(&log, &err), -EFBIG);
    limit_files(RLIM_INFINITY);
    assert_int_equal(fence_logfile_flush(&log, &err), 0);
    fence_logfile_done(&log);
    check_files(0, next, SIZE_MAX);
}

/* The begin of a line is there, the file is full then: the line ends where it began. */
static void rotation_within_line(void **state)
{
    struct fence_logfile log;

    (void)state;
    for (rlim_t room = 1; room < 400; room += 13) {
        clean(NULL);
        begin(&log, 200, 60);
        add_lines(&log, 0, 30);
        limit_files(room);
        (void)fence_logfile_flush(&log, NULL);
        limit_files(RLIM_INFINITY);
        add_lines(&log, 30, 60);
        assert_int_equal(fence_logfile_flush(&log, NULL), 0);
        fence_logfile_done(&log);
        check_files(0, 60, 200);
    }
}

static void others_rename_it(void **state)
{
    struct fence_logfile log;
    char other[PATH_MAX];

    (void)state;
    begin(&log, 0, 3);
    add_lines(&log, 0, 10);
    assert_int_equal(fence_logfile_flush(&log, NULL), 0);
    name_of(7, other);
    assert_int_equal(rename(path, other), 0);
    add_lines(&log, 10, 20);
    fence_logfile_done(&log);
    assert_int_equal(check_files(0, 20, SIZE_MAX), 2);
}

/* Somebody was stopped while writing: his line ends before ours begins. */
static void torn_line(void **state)
{
    struct fence_logfile log;
    size_t size;
    char *data;

    (void)state;
    assert_int_equal(fence_file_write(path, "tor", 3, 0600, NULL), 0);
    begin(&log, 0, 1);
    assert_int_equal(fence_logfile_add(&log, "whole", 5), 0);
    fence_logfile_done(&log);
    data = content(0, &size);
    assert_string_equal(data, "tor\nwhole\n");
    free(data);
}

static void what_cannot_be_opened(void **state)
{
    struct fence_logfile log;
    struct fence_err err = {""};

    (void)state;
    assert_int_equal(symlink("/dev/null", path), 0);
    begin(&log, 0, 1);
    add_lines(&log, 0, 10);
    assert_int_equal(fence_logfile_flush(&log, &err), -ELOOP);
    assert_non_null(strstr(err.text, "symbolic link"));
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(fence_logfile_flush(&log, &err), -EISDIR);
    rmdir(path);
    assert_int_equal(fence_logfile_flush(&log, &err), 0);
    fence_logfile_done(&log);
    check_files(0, 10, SIZE_MAX);
}

/* Reads what is there; all of it are whole lines from *next on when the writer has nothing left. */
static size_t drain(int fd, char *data, size_t room)
{
    ssize_t size;
    size_t used = 0;

    while ((size = read(fd, data + used, room - used)) > 0)
        used += (size_t)size;
    data[used] = '\0';
    return used;
}

static void slow_reader(void **state)
{
    static char data[2 * FENCE_LOGFILE_BUFFER];
    struct fence_logfile log;
    struct fence_err err = {""};
    unsigned int next = 0, seen = 0;
    char text[256];
    size_t used = 0;
    int reader;

    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    begin(&log, LIMIT, 3);
    assert_int_equal(fence_logfile_flush(&log, &err), -ENXIO);
    reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(reader >= 0);
    while (fence_logfile_add(&log, text, make_line(next, text)) == 0)
        next++;
    assert_int_equal(fence_logfile_flush(&log, &err), -EAGAIN);
    do {
        int result = fence_logfile_flush(&log, &err);

        assert_true(result == 0 || result == -EAGAIN);
        used += drain(reader, data + used, sizeof(data) - used - 1);
    } while (log.used);
    check_lines(data, &seen);
    assert_int_equal(seen, next);

    close(reader); /* the reader ends, and another one comes: it begins with a whole line */
    add_lines(&log, 0, 1);
    assert_int_equal(fence_logfile_flush(&log, &err), -EPIPE);
    reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_int_equal(fence_logfile_flush(&log, &err), 0);
    drain(reader, data, sizeof(data) - 1);
    seen = 0;
    check_lines(data, &seen);
    assert_int_equal(seen, 1);
    close(reader);
    fence_logfile_done(&log);
}

/* Standard output as a service manager gives it: the other users of it stay blocking. */
static void standard_output(int own, int reader)
{
    static char data[2 * FENCE_LOGFILE_BUFFER];
    const struct fence_logfile_options options = {.path = "-", .size = 1, .files = 1};
    const int saved = dup(STDOUT_FILENO);
    struct fence_logfile log;
    unsigned int next = 0, seen = 0;
    char text[256];
    size_t used = 0;

    fflush(stdout);
    assert_true(saved >= 0);
    assert_int_equal(fence_logfile_init(&log, &options), 0);
    dup2(own, STDOUT_FILENO);
    while (fence_logfile_add(&log, text, make_line(next, text)) == 0)
        next++;
    while (log.used) {
        (void)fence_logfile_flush(&log, NULL);
        used += drain(reader, data + used, sizeof(data) - used - 1);
    }
    dup2(saved, STDOUT_FILENO);
    close(saved);
    assert_int_equal(fcntl(own, F_GETFL) & O_NONBLOCK, 0);
    check_lines(data, &seen);
    assert_int_equal(seen, next);
    fence_logfile_done(&log);
}

static void standard_outputs(void **state)
{
    int fds[2];

    (void)state;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    standard_output(fds[1], fds[0]);
    close(fds[0]);
    close(fds[1]);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    standard_output(fds[1], fds[0]);
    close(fds[0]);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(lines_and_mode, clean),
        cmocka_unit_test_teardown(rotation, clean),
        cmocka_unit_test_teardown(oldest_goes, clean),
        cmocka_unit_test_teardown(long_line, clean),
        cmocka_unit_test_teardown(no_room, clean),
        cmocka_unit_test_teardown(rotation_within_line, clean),
        cmocka_unit_test_teardown(others_rename_it, clean),
        cmocka_unit_test_teardown(torn_line, clean),
        cmocka_unit_test_teardown(what_cannot_be_opened, clean),
        cmocka_unit_test_teardown(slow_reader, clean),
        cmocka_unit_test_teardown(standard_outputs, clean),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
