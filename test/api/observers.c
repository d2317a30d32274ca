/* SPDX-License-Identifier: Apache-2.0 */
/* {"op":"observe"} and the places of the socket, as a client meets them. Needs root. */
#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/cmocka.h"

#include "lib/api/api.h"
#include "lib/base/memory.h"
#include "test/api/process.h"

#define GROUP     "4711"
#define OBSERVERS 64 /* that the daemon serves */

static const char *error_of(const cJSON *answer)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(answer, "error"));

    return text ? text : "";
}

static void wrong_requests(void **state)
{
    static const struct {
        const char *request;
        const char *says;
    } rows[] = {
        {"{\"op\":\"observe\",\"since\":\"noon\"}", "since must be a number"},
        {"{\"op\":\"observe\",\"since\":-1}", "since must be a number"},
        {"{\"op\":\"observe\",\"last\":true}", "last must be a number"},
        {"{\"op\":\"observe\",\"filter\":{\"verdict\":\"MAYBE\"}}", "MAYBE is no verdict"},
        {"{\"op\":\"observe\",\"filter\":{\"port\":80}}", "port must be a text"},
        {"{\"op\":\"observe\",\"filter\":{\"from\":[\"a/b\",1]}}", "from must be a text"},
        {"{\"op\":\"observe\",\"filter\":{\"policy\":\"\"}}", "policy: 1 to 511"},
    };
    struct daemon_lab *lab = *state;

    daemon_start(lab, NULL);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        cJSON *answer = daemon_ask(lab, rows[i].request);

        print_message("%s\n", rows[i].request);
        assert_non_null(strstr(error_of(answer), rows[i].says));
        cJSON_Delete(answer);
    }
    daemon_expect(lab, "events.observers", 0);
}

/* Without events: an answer, and then the end. */
static void what_has_been(void **state)
{
    struct daemon_lab *lab = *state;
    cJSON *answer = NULL;
    int fd;

    daemon_start(lab, NULL);
    fd = daemon_connect(lab);
    daemon_tell(fd, "{\"op\":\"observe\",\"since\":1e300,\"last\":1e300,\"follow\":false}");
    assert_int_equal(fence_api_receive(fd, 5000, &answer, NULL), 0);
    assert_true(json_number(answer, "ok") == 1);
    assert_true(json_number(answer, "matched") == 0);
    assert_true(json_number(answer, "sent") == 0);
    cJSON_Delete(answer);
    assert_int_equal(fence_api_receive(fd, 5000, &answer, NULL), -ECONNRESET);
    close(fd);
    daemon_expect(lab, "events.observers", 0);
}

static void many_observers(void **state)
{
    struct daemon_lab *lab = *state;
    int fds[OBSERVERS];
    cJSON *answer;

    daemon_start(lab, NULL);
    for (size_t i = 0; i < OBSERVERS; i++) {
        fds[i] = daemon_connect(lab);
        daemon_tell(fds[i], "{\"op\":\"observe\"}");
        assert_int_equal(fence_api_receive(fds[i], 5000, &answer, NULL), 0);
        assert_true(json_number(answer, "ok") == 1);
        cJSON_Delete(answer);
    }
    daemon_expect(lab, "events.observers", OBSERVERS);
    answer = daemon_ask(lab, "{\"op\":\"observe\"}");
    assert_non_null(strstr(error_of(answer), "64 observe already"));
    cJSON_Delete(answer);
    for (size_t i = 0; i < OBSERVERS; i++)
        close(fds[i]);
    daemon_expect(lab, "events.observers", 0);
}

/* As a member of the group, in a process of its own: 0, or what differs. */
static int ask_as_member(const struct daemon_lab *lab)
{
    const gid_t groups[] = {1, 4711};
    cJSON *answer = NULL;
    int fd;

    if (setgroups(2, groups) < 0 || setgid(65534) < 0 || setuid(65534) < 0)
        return 10;
    fd = fence_api_connect(lab->socket, NULL);
    if (fd < 0)
        return 11;
    daemon_tell(fd, "{\"op\":\"status\"}");
    if (fence_api_receive(fd, 5000, &answer, NULL) < 0 || json_number(answer, "ok") != 1)
        return 12;
    cJSON_Delete(answer);
    daemon_tell(fd, "{\"op\":\"removed\",\"containerId\":\"x\",\"ifname\":\"eth0\"}");
    if (fence_api_receive(fd, 5000, &answer, NULL) < 0 ||
        !strstr(error_of(answer), "removed is for root only"))
        return 13;
    cJSON_Delete(answer);
    return fence_api_receive(fd, 5000, &answer, NULL) == -ECONNRESET ? 0 : 14;
}

static void members_may_read(void **state)
{
    struct daemon_lab *lab = *state;
    struct stat info;
    int status;
    pid_t pid;

    assert_int_equal(chmod(lab->root, 0755), 0);
    daemon_start(lab, (const char *[]){"--socket-group", GROUP, NULL});
    assert_int_equal(stat(lab->socket, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0660);
    assert_int_equal(info.st_gid, 4711);
    pid = fork();
    if (pid == 0)
        _exit(ask_as_member(lab));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int main(void)
{
#define TEST(function)                                                                             \
    cmocka_unit_test_setup_teardown(function, daemon_lab_setup, daemon_lab_teardown)
    const struct CMUnitTest tests[] = {
        TEST(wrong_requests),
        TEST(what_has_been),
        TEST(many_observers),
        TEST(members_may_read),
    };

    if (!daemon_lab_enter())
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
