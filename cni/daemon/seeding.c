/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/seeding.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>

#include "cni/daemon/daemon.h"
#include "lib/base/clock.h"
#include "lib/base/file.h"
#include "lib/base/memory.h"
#include "lib/datapath/read.h"

#define TURN_NS  10000000ull    /* of the loop's time in one turn */
#define LIMIT_NS 5000000000ull  /* a dump that does not end */
#define FRESH_NS 10000000000ull /* a pod that stays pending is read again after so long */

#define UDP_TIMEOUT     "/proc/sys/net/netfilter/nf_conntrack_udp_timeout"
#define UDP_ESTABLISHED "/proc/sys/net/netfilter/nf_conntrack_udp_timeout_stream"
#define NUMBER_MAX      32

void fence_seeding_want(struct fence_seeding *seeding, bool interrupted)
{
    seeding->wanted = true;
    seeding->interrupted |= interrupted;
    seeding->ended_ns = 0;
}

static void clear(struct fence_seeding *seeding)
{
    free(seeding->view.owners);
    free(seeding->view.places);
    seeding->view = (struct fence_seed_view){0};
    fence_seeds_done(&seeding->seeds);
}

/* ---- whom it is for ------------------------------------------------------------------------- */

static bool is_to_seed(const struct fence_seeding *seeding,
                       const struct fence_endpoint_record *record)
{
    const struct fence_endpoint *endpoint = &record->endpoint;

    if (!endpoint->recovery_until_ns || endpoint->flags & FENCE_EP_EXEMPT)
        return false;
    return endpoint->flags & FENCE_EP_PENDING ||
           (seeding->interrupted && endpoint->recovery_until_ns > fence_clock_boot_ns());
}

static int find_owners(struct fence_daemon *daemon)
{
    struct fence_seed_view *view = &daemon->seeding.view;
    struct fence_endpoint_list list = {0};

    if (fence_locals_list(&daemon->pins, &list, NULL) < 0)
        return -EIO;
    view->owners = calloc(list.count + 1, sizeof(*view->owners));
    for (size_t i = 0; view->owners && i < list.count; i++) {
        const struct fence_endpoint_record *record = &list.items[i];
        struct fence_seed_owner *owner = &view->owners[view->owner_count];

        if (!is_to_seed(&daemon->seeding, record))
            continue;
        owner->ifindex = record->ifindex;
        owner->created_ns = record->info.created_ns;
        owner->slot = (__u16)record->endpoint.slot;
        owner->addr_count = record->endpoint.addr_count;
        memcpy(owner->addrs, record->endpoint.addrs, sizeof(owner->addrs));
        view->owner_count++;
    }
    fence_endpoint_list_done(&list);
    return view->owners ? fence_seed_view_index(view) : -ENOMEM;
}

/* ---- writing -------------------------------------------------------------------------------- */

/* It may have been removed while we read. */
static bool is_here(const struct fence_pins *pins, const struct fence_seed_owner *owner,
                    bool *ret_pending)
{
    struct fence_endpoint_record now;

    if (fence_endpoint_get(pins, owner->ifindex, &now) < 0 ||
        now.info.created_ns != owner->created_ns || now.endpoint.slot != owner->slot)
        return false;
    *ret_pending = now.endpoint.flags & FENCE_EP_PENDING;
    return true;
}

/* An owner has gone since he was found, and his slot may be another's by now. */
static void drop_seeds(struct fence_seed_list *seeds, const struct fence_seed_owner *owner)
{
    size_t kept = 0;

    for (size_t i = 0; i < seeds->count; i++)
        if (seeds->items[i].ifindex != owner->ifindex)
            seeds->items[kept++] = seeds->items[i];
    seeds->count = kept;
}

/*
 * Under the lock no slot gets another owner. One that went meanwhile leaves nothing behind; one
 * that was resolved before keeps nothing but the seeds.
 */
static int write_locked(struct fence_daemon *daemon, const struct fence_settings *settings,
                        const struct fence_connection_table *table, struct fence_err *err)
{
    FENCE_CLOSE int lock = fence_endpoints_lock(&daemon->pins, err);
    struct fence_seeding *seeding = &daemon->seeding;
    FENCE_FREE __u8 *fates = calloc(table->slot_count, sizeof(*fates));
    size_t left;

    if (lock < 0)
        return lock;
    if (!fates)
        return fence_err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < seeding->view.owner_count; i++) {
        const struct fence_seed_owner *owner = &seeding->view.owners[i];
        bool pending = true, here = is_here(&daemon->pins, owner, &pending);

        if (!here)
            drop_seeds(&seeding->seeds, owner);
        if (owner->slot >= table->slot_count)
            continue;
        if (!here && !table->usage[owner->slot].ifindex)
            fates[owner->slot] = FENCE_SEED_FORGET;
        else if (here && !pending)
            fates[owner->slot] = FENCE_SEED_KEEP;
    }
    left = fence_seeds_write(&seeding->seeds, &daemon->pins, table, settings, seeding->view.now);
    /* a pass for each would keep ADD waiting for the lock, for seconds where there are many pods */
    fence_seeds_settle(&seeding->seeds, table, fates);
    if (seeding->seeds.count)
        fence_log(FENCE_LOG_INFO,
                  "%zu connections of %zu pods from before they were enrolled are taken over from "
                  "conntrack",
                  seeding->seeds.count - left, seeding->view.owner_count);
    return 0;
}

static int write_seeds(struct fence_daemon *daemon, struct fence_err *err)
{
    struct fence_connection_table table;
    struct fence_settings settings;
    int r = fence_settings_read(&daemon->pins, &settings);

    if (r == 0)
        r = fence_jiffies(&daemon->pins, &daemon->seeding.view.now);
    if (r < 0)
        return fence_err_set(err, r, "settings map: %s", strerror(-r));
    r = fence_connections_open(&daemon->pins, &table, err);
    if (r < 0)
        return r;
    r = write_locked(daemon, &settings, &table, err);
    fence_connections_close(&table);
    return r;
}

/* ---- reading -------------------------------------------------------------------------------- */

static int take(void *context, const struct fence_conntrack_entry *entry)
{
    struct fence_seeding *seeding = context;

    return fence_seeds_take(&seeding->seeds, &seeding->view, entry);
}

/* What was read before an error is true all the same. */
static void finish(struct fence_daemon *daemon, int result)
{
    struct fence_seeding *seeding = &daemon->seeding;
    struct fence_err err = {""};

    fence_loop_forget(&daemon->loop, &seeding->watch);
    fence_conntrack_dump_free(&seeding->dump);
    fence_seeds_sort(&seeding->seeds);
    if (result < 0 && !seeding->told) {
        seeding->told = true;
        fence_log(FENCE_LOG_INFO,
                  "conntrack does not say what pods had open before they were enrolled (%s): it "
                  "goes on as far as the rules of either direction allow it",
                  strerror(-result));
    }
    if (write_seeds(daemon, &err) < 0)
        fence_log(FENCE_LOG_WARNING, "connections from before pods were enrolled may be cut: %s",
                  err.text);
    seeding->ended_ns = fence_clock_boot_ns();
    seeding->interrupted = false;
    daemon->dirty = true;
}

static void part_ready(void *context, uint32_t events)
{
    struct fence_daemon *daemon = context;
    struct fence_seeding *seeding = &daemon->seeding;
    const uint64_t end = fence_clock_boot_ns() + TURN_NS;
    int r = fence_jiffies(&daemon->pins, &seeding->view.now);

    (void)events;
    seeding->view.hosts = daemon->node.addrs;
    seeding->view.host_count = daemon->node.addr_count;
    if (r == 0)
        r = 1;
    while (r > 0 && fence_clock_boot_ns() < end)
        r = fence_conntrack_dump_read(seeding->dump, take, seeding);
    if (r <= 0 && r != -EAGAIN)
        finish(daemon, r);
}

/* 0: not known. */
static __u32 read_seconds(const char *path)
{
    FENCE_FREE char *text = NULL;
    size_t size = 0;

    if (fence_file_read(AT_FDCWD, path, NUMBER_MAX, &text, &size, NULL) < 0)
        return 0;
    return (__u32)strtoul(text, NULL, 10);
}

static int begin(struct fence_daemon *daemon)
{
    struct fence_seeding *seeding = &daemon->seeding;
    struct fence_settings settings;
    int r = fence_settings_read(&daemon->pins, &settings);

    seeding->began_ns = fence_clock_boot_ns();
    if (r == 0)
        r = fence_conntrack_dump_new(&seeding->dump, NULL);
    if (r < 0)
        return r;
    seeding->view.hz = settings.hz;
    seeding->view.share = settings.share;
    seeding->view.udp_seconds = read_seconds(UDP_TIMEOUT);
    seeding->view.udp_established = read_seconds(UDP_ESTABLISHED);
    seeding->watch = (struct fence_fd_watch){
        .fd = fence_conntrack_dump_fd(seeding->dump), .ready = part_ready, .context = daemon};
    return fence_loop_watch(&daemon->loop, &seeding->watch, EPOLLIN, NULL);
}

bool fence_seeding_ready(struct fence_daemon *daemon)
{
    struct fence_seeding *seeding = &daemon->seeding;
    const uint64_t now = fence_clock_boot_ns();
    int r;

    if (seeding->dump && now - seeding->began_ns < LIMIT_NS)
        return false;
    if (seeding->dump)
        finish(daemon, -ETIMEDOUT);
    if (!seeding->wanted || (seeding->ended_ns && now - seeding->ended_ns < FRESH_NS))
        return true;
    clear(seeding);
    if (find_owners(daemon) < 0)
        return true;
    if (seeding->view.owner_count == 0) {
        clear(seeding);
        seeding->wanted = false;
        return true;
    }
    r = begin(daemon);
    if (r < 0)
        finish(daemon, r);
    return r < 0;
}

int fence_seeding_keep(struct fence_daemon *daemon, uint32_t slot, struct fence_err *err)
{
    struct fence_connection_table table;
    int r = fence_connections_open(&daemon->pins, &table, err);

    if (r < 0)
        return r;
    fence_seeds_keep(&daemon->seeding.seeds, &table, slot);
    fence_connections_close(&table);
    return 0;
}

void fence_seeding_done(struct fence_daemon *daemon)
{
    struct fence_seeding *seeding = &daemon->seeding;

    fence_loop_forget(&daemon->loop, &seeding->watch);
    fence_conntrack_dump_free(&seeding->dump);
    clear(seeding);
}
