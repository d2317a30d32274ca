/* SPDX-License-Identifier: Apache-2.0 */
/*
 * to_network at every device that is no pod's, as long as some policy in use tells the backends of
 * a service apart (bpf/deferred.bpf.h): bridges, uplinks, tunnels, and veths that nobody has
 * enrolled. Where it is everywhere, settings let such packets pass their sender's hook; else that
 * refuses them (service-mixed). Looked at after each apply, when links change and every two
 * seconds; nothing is attached while no policy asks for it, nor with --device-hooks off.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fence_daemon;

/* A device as seen last. */
struct fence_device_seen {
    uint32_t ifindex;
    bool attached;
    uint64_t since_ns; /* CLOCK_BOOTTIME */
};

/* Zeroed = nothing seen yet. */
struct fence_devices {
    struct fence_device_seen *seen;
    size_t count;
    bool clean;        /* nothing of ours is at any of them */
    char problem[512]; /* why mixed services are refused although policy would let them pass; "" */
};

void fence_devices_check(struct fence_daemon *daemon);
void fence_devices_done(struct fence_devices *devices);
