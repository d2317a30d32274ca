/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates in a folder, made by `openssl` unless they are there: ca.crt, server.crt,
 * server.key, client.crt, client.key. And what clients find the server by: kubeconfig,
 * kubeconfig-cert, and serviceaccount/{token,ca.crt,namespace}.
 */
#pragma once

#include <stdint.h>

#include "lib/base/err.h"

struct tls {
    char *folder;
    char *ca, *certificate, *key; /* PEM */
};

int tls_init(struct tls *tls, const char *folder, struct fence_err *err);
void tls_done(struct tls *tls);
/* `host`: an address, of IPv6 in brackets. */
int tls_write_clients(const struct tls *tls, const char *host, uint16_t port, const char *token,
                      struct fence_err *err);
