/* SPDX-License-Identifier: Apache-2.0 */
/*
 * podfenced as a whole: one struct, each member with its file. Nothing here is state that could
 * not be rebuilt: the pinned maps, the objects and --state are the state.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cni/daemon/adopt.h"
#include "cni/daemon/alarms.h"
#include "cni/daemon/audit.h"
#include "cni/daemon/conditions.h"
#include "cni/daemon/cuts.h"
#include "cni/daemon/devices.h"
#include "cni/daemon/event_log.h"
#include "cni/daemon/filters.h"
#include "cni/daemon/flowbook.h"
#include "cni/daemon/guard.h"
#include "cni/daemon/http.h"
#include "cni/daemon/inforce.h"
#include "cni/daemon/leader.h"
#include "cni/daemon/locals.h"
#include "cni/daemon/loop.h"
#include "cni/daemon/node.h"
#include "cni/daemon/observe.h"
#include "cni/daemon/options.h"
#include "cni/daemon/reconcile.h"
#include "cni/daemon/report.h"
#include "cni/daemon/seeding.h"
#include "cni/daemon/server.h"
#include "cni/daemon/slices.h"
#include "cni/daemon/sources.h"
#include "cni/daemon/unenforced.h"
#include "cni/daemon/vanished.h"
#include "lib/datapath/pins.h"
#include "lib/datapath/takeover.h"
#include "lib/objects/store.h"

struct fence_daemon {
    struct fence_options options;
    struct fence_loop loop;
    int lock; /* flock that says: the daemon of this bpffs */
    struct fence_pins pins;
    struct fence_takeover takeover; /* from an older layout, while that is going on */
    struct fence_store *store;
    struct fence_sources sources;
    struct fence_leader leader;
    struct fence_report report;
    struct fence_slices slices;
    struct fence_cuts cuts;
    struct fence_inforce inforce;
    struct fence_node_watch node;
    struct fence_reconcile reconcile;
    struct fence_unenforced unenforced;
    struct fence_adopt adopt;
    struct fence_seeding seeding;
    struct fence_vanished vanished;
    struct fence_filters filters;
    struct fence_devices devices;
    struct fence_guard guard;
    struct fence_observe observe;
    struct fence_flowbook flowbook;
    struct fence_event_log event_log;
    struct fence_audit audit;
    struct fence_alarms alarms;
    struct fence_http http;
    struct fence_server server;
    struct fence_conditions conditions;
    int64_t started_at; /* seconds since 1970 */
    bool pods_are_here; /* an endpoint's interface was seen: this is the pods' node namespace */
    bool dirty;         /* something that the plan depends on has changed */
    bool ready;         /* as last logged */
    bool stopping;
};
