/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints whose host interface has gone without a DEL. */
#pragma once

struct fence_daemon;

/*
 * Remove them. Does nothing unless another or the same endpoint's interface has been seen by this
 * process under its recorded name: a daemon in the wrong network namespace sees no interface of a
 * pod, and must not take that for pods that have gone.
 */
void fence_vanished_remove(struct fence_daemon *daemon);
