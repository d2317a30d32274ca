/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/kube/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/file.h"
#include "lib/base/memory.h"
#include "test/cmocka.h"

static char folder[] = "/tmp/podfence-kube-config-XXXXXX";
static char path[128];

static void write_file(const char *name, const char *text)
{
    char at[256];
    struct fence_err err = {0};

    snprintf(at, sizeof(at), "%s/%s", folder, name);
    if (fence_file_write(at, text, strlen(text), 0600, &err) < 0)
        fail_msg("%s", err.text);
}

/* A kubeconfig with these members of its cluster and its user. */
static int read_parts(const char *cluster, const char *user, struct fence_kube_config *ret_config,
                      struct fence_err *err)
{
    FENCE_FREE char *text = NULL;

    assert_true(asprintf(&text,
                         "apiVersion: v1\nkind: Config\ncurrent-context: here\n"
                         "contexts:\n- name: other\n  context: {cluster: x, user: y}\n"
                         "- name: here\n  context: {cluster: c, user: u, namespace: n}\n"
                         "clusters:\n- name: c\n  cluster: {%s}\n"
                         "users:\n- name: v\n  user: {exec: {command: x}}\n"
                         "- name: u\n  user: {%s}\npreferences: {}\n",
                         cluster, user) > 0);
    write_file("config", text);
    return fence_kube_config_file(path, ret_config, err);
}

/* As struct fence_kube_config; "@/" stands for the folder. */
struct expected {
    const char *server, *server_name, *ca_file, *ca_pem, *token, *token_file;
    const char *cert_file, *key_file, *cert_pem, *key_pem;
    bool insecure;
};

static void same(const char *is, const char *expected)
{
    if (!expected)
        assert_null(is);
    else
        assert_string_equal(is, expected);
}

/* Enough to be taken for PEM. */
#define PEM        "-----BEGIN X-----\n"
#define PEM_BASE64 "LS0tLS1CRUdJTiBYLS0tLS0K"
#define SERVER     "server: 'https://10.0.0.1:6443'"

static const struct {
    const char *cluster, *user;
    struct expected config;
} good_parts[] = {
    {SERVER, "token: abc", {.server = "https://10.0.0.1:6443", .token = "abc"}},
    {"server: 'https://api.test/'", "", {.server = "https://api.test"}},
    {"server: 'https://[fd00::1]:6443///'", "", {.server = "https://[fd00::1]:6443"}},
    {"server: 'https://rancher.test/k8s/clusters/c-1/'",
     "",
     {.server = "https://rancher.test/k8s/clusters/c-1"}},
    {"server: 'http://127.0.0.1:8001'", "", {.server = "http://127.0.0.1:8001"}},
    {SERVER ", certificate-authority: pki/ca.crt",
     "tokenFile: token",
     {.server = "https://10.0.0.1:6443", .ca_file = "@/pki/ca.crt", .token_file = "@/token"}},
    {SERVER ", certificate-authority: /etc/ca.crt",
     "tokenFile: /run/token, token: unused",
     {.server = "https://10.0.0.1:6443", .ca_file = "/etc/ca.crt", .token_file = "/run/token"}},
    {SERVER ", certificate-authority-data: " PEM_BASE64 ", certificate-authority: unused",
     "client-certificate-data: " PEM_BASE64 ", client-key-data: \"LS0tLS1CRUdJ\\nTiBYLS0tLS0K\\n\"",
     {.server = "https://10.0.0.1:6443", .ca_pem = PEM, .cert_pem = PEM, .key_pem = PEM}},
    {SERVER,
     "client-certificate: a.crt, client-key: ../a.key",
     {.server = "https://10.0.0.1:6443", .cert_file = "@/a.crt", .key_file = "@/../a.key"}},
    {SERVER ", tls-server-name: api.test, insecure-skip-tls-verify: true",
     "exec: null, username: ''",
     {.server = "https://10.0.0.1:6443", .server_name = "api.test", .insecure = true}},
};

static void good(void **state)
{
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(good_parts); i++) {
        const struct expected *expected = &good_parts[i].config;
        const char *const paths[] = {expected->ca_file, expected->token_file, expected->cert_file,
                                     expected->key_file};
        FENCE_CLEANUP(fence_kube_config_done) struct fence_kube_config config = {0};
        struct fence_err err = {0};
        char *found[4];

        if (read_parts(good_parts[i].cluster, good_parts[i].user, &config, &err) < 0)
            fail_msg("%zu: %s", i, err.text);
        assert_string_equal(config.origin, path);
        same(config.server, expected->server);
        same(config.server_name, expected->server_name);
        same(config.ca_pem, expected->ca_pem);
        same(config.token, expected->token);
        same(config.cert_pem, expected->cert_pem);
        same(config.key_pem, expected->key_pem);
        assert_int_equal(config.insecure, expected->insecure);
        assert_null(config.namespace_name); /* what kubectl begins with is no reason for trust */
        memcpy(found,
               (char *[]){config.ca_file, config.token_file, config.cert_file, config.key_file},
               sizeof(found));
        for (size_t j = 0; j < 4; j++) {
            char full[256] = "";

            if (paths[j] && paths[j][0] == '@')
                snprintf(full, sizeof(full), "%s%s", folder, paths[j] + 1);
            same(found[j], full[0] ? full : paths[j]);
        }
    }
    (void)state;
}

static const struct {
    const char *cluster, *user, *text;
} refused_parts[] = {
    {SERVER, "exec: {command: aws}",
     "users[1].user.exec: podfence runs no plugins; use a token, tokenFile or a client "
     "certificate"},
    {SERVER, "auth-provider: {name: gcp}",
     "users[1].user[\"auth-provider\"]: podfence runs no plugins"},
    {SERVER, "username: admin", "user.username: podfence sends no passwords"},
    {SERVER, "password: secret", "user.password: podfence sends no passwords"},
    {SERVER, "as: someone", "user.as: podfence speaks as itself alone"},
    {SERVER, "as-groups: [a]", "user[\"as-groups\"]: podfence speaks as itself alone"},
    {SERVER, "token: \"a\\r\\nX-Evil: 1\"", "user.token: has characters that no token has"},
    {SERVER, "token: [a]", "user.token: "},
    {SERVER, "tokenFile: {a: b}", "user.tokenFile: "},
    {SERVER, "client-certificate: a.crt", "user: a client certificate needs its key"},
    {SERVER, "client-certificate: a, client-key-data: " PEM_BASE64, "needs its key"},
    {SERVER, "client-key-data: '%%%'",
     "user[\"client-key-data\"]: is not base64: give the file's name in client-key instead"},
    {SERVER, "client-key-data: aGVsbG8=", "user[\"client-key-data\"]: holds no PEM text"},
    {SERVER, "client-key-data: LS0tLS1CRUdJTiBYLS0tLS0KAA==", "holds no PEM text"},
    {SERVER ", proxy-url: 'http://p'", "",
     "clusters[0].cluster[\"proxy-url\"]: podfence uses no proxies"},
    {SERVER ", certificate-authority-data: YQ", "",
     "cluster[\"certificate-authority-data\"]: is not base64: give the file's name in "
     "certificate-authority instead"},
    {SERVER ", tls-server-name: 'a/b'", "", "cluster[\"tls-server-name\"]: is no host name"},
    {SERVER ", insecure-skip-tls-verify: 3", "", "cluster[\"insecure-skip-tls-verify\"]: "},
    {"", "", "clusters[0].cluster.server: is missing"},
    {"server: '10.0.0.1:6443'", "", "cluster.server: is no URL: it begins with https://"},
    {"server: 'ftp://a'", "", "cluster.server: is no URL: it begins with https://"},
    {"server: 'https://'", "", "cluster.server: names no host"},
    {"server: 'https:///x'", "", "cluster.server: names no host"},
    {"server: 'https://user:pw@a'", "", "cluster.server: is no URL of a server"},
    {"server: 'https://a?x=1'", "", "cluster.server: is no URL of a server"},
    {"server: \"https://a\\nb\"", "", "cluster.server: is no URL of a server"},
    {"server: 'http://a'", "token: abc", "user: is not sent to http://a"},
    {"server: 'http://a'", "tokenFile: abc", "user: is not sent to http://a"},
};

static void refused(void **state)
{
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(refused_parts); i++) {
        struct fence_kube_config config = {.server = path};
        struct fence_err err = {0};

        if (read_parts(refused_parts[i].cluster, refused_parts[i].user, &config, &err) != -EINVAL)
            fail_msg("%zu is not refused", i);
        if (!strstr(err.text, refused_parts[i].text) || strncmp(err.text, path, strlen(path)) != 0)
            fail_msg("%zu: %s", i, err.text);
        assert_null(strstr(err.text, "secret"));
        assert_null(strstr(err.text, "X-Evil"));
        assert_ptr_equal(config.server, path); /* untouched */
    }
    (void)state;
}

static void whole_files(void **state)
{
    static const struct {
        const char *text, *message; /* NULL: it is good */
    } cases[] = {
        {"{\"kind\":\"Config\",\"current-context\":\"a\",\"contexts\":[{\"name\":\"a\",\"context\":"
         "{\"cluster\":\"b\"}}],\"clusters\":[{\"name\":\"b\",\"cluster\":{\"server\":\"https://"
         "c\"}}],"
         "\"users\":null}",
         NULL},
        {"", "has 0 documents"},
        {"a: 1\n---\nb: 1\n", "has 2 documents"},
        {"- a\n", "list"},
        {"a: [", "line "},
        {"a: &x 1\n", "line "},
        {"contexts: []\n",
         "[\"current-context\"]: is missing: kubectl config use-context NAME sets it"},
        {"current-context: a\n", "contexts: there is none with the name \"a\""},
        {"current-context: a\ncontexts: {}\n", "contexts: "},
        {"current-context: a\ncontexts: [1]\n", "contexts[0]: "},
        {"current-context: a\ncontexts: [{name: a}]\n", "contexts[0].context: "},
        {"current-context: a\ncontexts: [{name: a, context: {}}]\n", "context.cluster: is missing"},
        {"current-context: a\ncontexts: [{name: a, context: {cluster: b}}]\n",
         "clusters: there is none with the name \"b\""},
        {"current-context: a\ncontexts: [{name: a, context: {cluster: b, user: c}}]\n"
         "clusters: [{name: b, cluster: {server: 'https://c'}}]\n",
         "users: there is none with the name \"c\""},
    };

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(cases); i++) {
        FENCE_CLEANUP(fence_kube_config_done) struct fence_kube_config config = {0};
        struct fence_err err = {0};
        int r;

        write_file("config", cases[i].text);
        r = fence_kube_config_file(path, &config, &err);
        assert_int_equal(r, cases[i].message ? -EINVAL : 0);
        if (cases[i].message && !strstr(err.text, cases[i].message))
            fail_msg("%zu: %s", i, err.text);
        same(config.server, cases[i].message ? NULL : "https://c");
    }
    (void)state;
}

static void sizes(void **state)
{
    size_t size = 5u << 20;
    FENCE_FREE char *text = malloc(size);
    struct fence_kube_config config = {0};
    struct fence_err err = {0};
    char at[256];

    memset(text, '#', size);
    text[size - 1] = '\0';
    write_file("config", text);
    assert_int_equal(fence_kube_config_file(path, &config, &err), -EFBIG);
    snprintf(at, sizeof(at), "%s/none", folder);
    assert_int_equal(fence_kube_config_file(at, &config, &err), -ENOENT);
    assert_non_null(strstr(err.text, at));
    assert_int_equal(fence_kube_config_file(folder, &config, &err), -EINVAL);
    (void)state;
}

static void in_cluster(void **state)
{
    static const struct {
        const char *host, *port, *server; /* server NULL: refused */
        int code;
    } cases[] = {
        {"10.96.0.1", "443", "https://10.96.0.1:443", 0},
        {"fd00::1", "6443", "https://[fd00::1]:6443", 0},
        {"kubernetes.test", "443", "https://kubernetes.test:443", 0},
        {NULL, "443", NULL, -ENOENT},
        {"10.96.0.1", NULL, NULL, -ENOENT},
        {"", "443", NULL, -EINVAL},
        {"a/b", "443", NULL, -EINVAL},
        {"a@b", "443", NULL, -EINVAL},
        {"10.96.0.1", "tcp://1", NULL, -EINVAL},
        {"10.96.0.1", "0", NULL, -EINVAL},
        {"10.96.0.1", "65536", NULL, -EINVAL},
    };
    char at[256];

    write_file("token", "abc");
    write_file("ca.crt", PEM);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(cases); i++) {
        FENCE_CLEANUP(fence_kube_config_done) struct fence_kube_config config = {0};
        struct fence_err err = {0};

        unsetenv("KUBERNETES_SERVICE_HOST");
        unsetenv("KUBERNETES_SERVICE_PORT");
        if (cases[i].host)
            setenv("KUBERNETES_SERVICE_HOST", cases[i].host, 1);
        if (cases[i].port)
            setenv("KUBERNETES_SERVICE_PORT", cases[i].port, 1);
        assert_int_equal(fence_kube_config_in_cluster(folder, &config, &err), cases[i].code);
        same(config.server, cases[i].server);
        if (cases[i].code == -ENOENT)
            assert_non_null(strstr(err.text, "--kubeconfig"));
        if (cases[i].code == 0) {
            snprintf(at, sizeof(at), "%s/token", folder);
            same(config.token_file, at);
            snprintf(at, sizeof(at), "%s/ca.crt", folder);
            same(config.ca_file, at);
        }
    }
    (void)state;
}

static void own_namespace(void **state)
{
    static const struct {
        const char *text, *name; /* name NULL: refused */
    } cases[] = {{"podfence", "podfence"},
                 {"kube-system\n", "kube-system"},
                 {"", NULL},
                 {"a b", NULL},
                 {"../x", NULL},
                 {"Podfence", NULL}};
    FENCE_CLEANUP(fence_kube_config_done) struct fence_kube_config none = {0};
    struct fence_err err = {0};

    setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1", 1);
    setenv("KUBERNETES_SERVICE_PORT", "443", 1);
    write_file("token", "abc");
    write_file("ca.crt", PEM);
    assert_int_equal(fence_kube_config_in_cluster(folder, &none, &err), 0);
    assert_null(none.namespace_name);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(cases); i++) {
        FENCE_CLEANUP(fence_kube_config_done) struct fence_kube_config config = {0};

        write_file("namespace", cases[i].text);
        assert_int_equal(fence_kube_config_in_cluster(folder, &config, &err),
                         cases[i].name ? 0 : -EINVAL);
        same(config.namespace_name, cases[i].name);
        if (!cases[i].name)
            assert_non_null(strstr(err.text, "/namespace holds no name of a namespace"));
    }
    (void)state;
}

static void not_mounted(void **state)
{
    static const char *const names[] = {"token", "ca.crt"};
    struct fence_kube_config config = {0};
    struct fence_err err = {0};

    setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1", 1);
    setenv("KUBERNETES_SERVICE_PORT", "443", 1);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(names); i++) {
        char at[256];

        write_file("token", "abc");
        write_file("ca.crt", PEM);
        snprintf(at, sizeof(at), "%s/%s", folder, names[i]);
        assert_int_equal(unlink(at), 0);
        assert_int_equal(fence_kube_config_in_cluster(folder, &config, &err), -ENOENT);
        assert_non_null(strstr(err.text, at));
        assert_non_null(strstr(err.text, "automountServiceAccountToken"));
    }
    (void)state;
}

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/config", folder);
    return 0;
}

static int remove_folder(void **state)
{
    static const char *const names[] = {"config", "token", "ca.crt", "namespace"};
    char at[256];

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(names); i++) {
        snprintf(at, sizeof(at), "%s/%s", folder, names[i]);
        (void)unlink(at);
    }
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good),        cmocka_unit_test(refused),
        cmocka_unit_test(whole_files), cmocka_unit_test(sizes),
        cmocka_unit_test(in_cluster),  cmocka_unit_test(own_namespace),
        cmocka_unit_test(not_mounted),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
