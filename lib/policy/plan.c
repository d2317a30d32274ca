/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/policy/plan.h"

#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/base/shared.h"

/* ---- slots ---------------------------------------------------------------------------------- */

/* Room for every slot in each index array: what is pushed later cannot fail. */
static int reserve(struct fence_plan_list *list, void **items, size_t size)
{
    size_t capacity = list->capacity ? list->capacity * 2 : 8;
    uint32_t **const arrays[] = {&list->free, &list->touched, &list->idle};
    void *grown;

    if (list->count < list->capacity)
        return 0;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(arrays); i++) {
        uint32_t *longer = reallocarray(*arrays[i], capacity, sizeof(*longer));

        if (!longer)
            return -ENOMEM;
        *arrays[i] = longer;
    }
    grown = reallocarray(*items, capacity, size);
    if (!grown)
        return -ENOMEM;
    *items = grown;
    list->capacity = capacity;
    return 0;
}

int fence_plan_add(struct fence_plan_list *list, void **items, size_t size, uint32_t *ret_index)
{
    struct fence_plan_item *item;
    bool touched = false;
    bool idle = false;
    uint32_t index;

    if (list->free_count) {
        index = list->free[--list->free_count];
        item = (struct fence_plan_item *)((char *)*items + index * size);
        /* it is in these lists already */
        touched = item->touched;
        idle = item->idle;
    } else {
        if (reserve(list, items, size) < 0)
            return -ENOMEM;
        index = (uint32_t)list->count++;
        item = (struct fence_plan_item *)((char *)*items + index * size);
    }
    memset(item, 0, size);
    item->live = true;
    item->touched = touched;
    item->idle = idle;
    fence_plan_touch_item(list, item, index);
    /* until somebody refers to it */
    if (!item->idle)
        list->idle[list->idle_count++] = index;
    item->idle = true;
    *ret_index = index;
    return 0;
}

void fence_plan_touch_item(struct fence_plan_list *list, struct fence_plan_item *item,
                           uint32_t index)
{
    if (item->touched)
        return;
    item->touched = true;
    list->touched[list->touched_count++] = index;
}

void fence_plan_unref_item(struct fence_plan_list *list, struct fence_plan_item *item,
                           uint32_t index)
{
    if (--item->references || item->idle)
        return;
    item->idle = true;
    list->idle[list->idle_count++] = index;
}

void fence_plan_drop_item(struct fence_plan_list *list, struct fence_plan_item *item,
                          uint32_t index)
{
    item->live = false;
    list->free[list->free_count++] = index;
    fence_plan_touch_item(list, item, index);
}

static void list_done(struct fence_plan_list *list)
{
    free(list->free);
    free(list->touched);
    free(list->idle);
}

/* ---- what things own ------------------------------------------------------------------------ */

void fence_plan_identity_done(struct fence_plan_identity *identity)
{
    free(TAKE_PTR(identity->content));
    fence_shared_string_unref(&identity->namespace_name);
    fence_shared_string_unref(&identity->app);
    fence_shared_labels_unref(&identity->labels);
}

void fence_plan_class_done(struct fence_plan_class *class)
{
    free(TAKE_PTR(class->atoms));
    free(TAKE_PTR(class->targets));
    fence_ports_unref(&class->ports);
}

void fence_plan_peer_done(struct fence_plan_peer *peer)
{
    free(TAKE_PTR(peer->content));
    fence_shared_string_unref(&peer->view.namespace_name);
    fence_shared_labels_unref(&peer->view.namespace_labels);
    fence_shared_labels_unref(&peer->view.labels);
    fence_ports_unref(&peer->view.ports);
}

void fence_plan_route_done(struct fence_plan_route *route)
{
    free(TAKE_PTR(route->targets));
}

void fence_plan_set_done(struct fence_plan_set *set)
{
    for (int i = 0; i < FENCE_DIRECTIONS; i++)
        free(TAKE_PTR(set->tables[i]));
    free(TAKE_PTR(set->content));
    free(TAKE_PTR(set->problem));
    set->table_count = 0;
}

int fence_plan_set_reserve(struct fence_plan_set *set, size_t classes)
{
    size_t wanted = classes + classes / 4; /* there is a list for every pod here */

    if (classes <= set->table_count)
        return 0;
    for (int i = 0; i < FENCE_DIRECTIONS; i++) {
        uint32_t *longer = reallocarray(set->tables[i], wanted, sizeof(*longer));

        if (!longer)
            return -ENOMEM;
        memset(longer + set->table_count, 0xff, (wanted - set->table_count) * sizeof(*longer));
        set->tables[i] = longer;
    }
    set->table_count = wanted;
    return 0;
}

void fence_plan_forget_notes(struct fence_plan *plan)
{
    for (size_t i = 0; i < plan->notes_count; i++) {
        free(plan->notes[i].subject);
        free(plan->notes[i].text);
    }
    plan->notes_count = 0;
}

static void free_named(struct fence_plan *plan)
{
    for (size_t i = 0; i < plan->identities_list.count; i++)
        if (plan->identities[i].item.live)
            fence_plan_identity_done(&plan->identities[i]);
    for (size_t i = 0; i < plan->classes_list.count; i++)
        if (plan->classes[i].item.live)
            fence_plan_class_done(&plan->classes[i]);
    for (size_t i = 0; i < plan->peers_list.count; i++)
        if (plan->peers[i].item.live)
            fence_plan_peer_done(&plan->peers[i]);
    for (size_t i = 0; i < plan->routes_list.count; i++)
        if (plan->routes[i].item.live)
            fence_plan_route_done(&plan->routes[i]);
    for (size_t i = 0; i < plan->atoms_list.count; i++)
        if (plan->atoms[i].item.live)
            free(plan->atoms[i].content);
}

static void free_rules(struct fence_plan *plan)
{
    for (size_t i = 0; i < plan->sets_list.count; i++)
        if (plan->sets[i].item.live)
            fence_plan_set_done(&plan->sets[i]);
    for (size_t i = 0; i < plan->tables_list.count; i++)
        if (plan->tables[i].item.live)
            free(plan->tables[i].intervals);
    for (size_t i = 0; i < plan->rules_list.count; i++)
        if (plan->rules[i].item.live)
            free(plan->rules[i].policy);
}

void fence_plan_free(struct fence_plan **plan)
{
    struct fence_plan *gone = plan ? TAKE_PTR(*plan) : NULL;

    if (!gone)
        return;
    free_named(gone);
    free_rules(gone);
    fence_plan_forget_notes(gone);
#define FREE_LIST(name)                                                                            \
    do {                                                                                           \
        free(gone->name);                                                                          \
        list_done(&gone->name##_list);                                                             \
    } while (0)
    FREE_LIST(identities);
    FREE_LIST(atoms);
    FREE_LIST(classes);
    FREE_LIST(peers);
    FREE_LIST(routes);
    FREE_LIST(rules);
    FREE_LIST(tables);
    FREE_LIST(sets);
    FREE_LIST(endpoints);
#undef FREE_LIST
    fence_addresses_done(&gone->addresses);
    free(gone->notes);
    free(gone->prefixes);
    free(gone);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* What the class is but for its targets. */
static void add_class(struct fence_text *text, const struct fence_plan *plan,
                      const struct fence_plan_class *class)
{
    FENCE_FREE const char **atoms = calloc(class->atom_count + 1, sizeof(void *));

    if (!atoms) {
        text->failed = true;
        return;
    }
    for (size_t i = 0; i < class->atom_count; i++)
        atoms[i] = plan->atoms[class->atoms[i]].content;
    qsort(atoms, class->atom_count, sizeof(void *), compare_texts);
    fence_text_add(text, "class %d %d ", class->host, class->pending);
    if (class->ports)
        fence_text_ports(text, class->ports->items, class->ports->count);
    for (size_t i = 0; i < class->atom_count; i++)
        fence_text_string(text, atoms[i]);
}

static int finish(struct fence_text *text, struct fence_text *ret_text)
{
    if (text->failed) {
        fence_text_done(text);
        return -ENOMEM;
    }
    *ret_text = *text;
    return 0;
}

int fence_plan_class_content(const struct fence_plan *plan, uint32_t index,
                             struct fence_text *ret_text)
{
    const struct fence_plan_class *class = &plan->classes[index];
    struct fence_text text = {0};

    add_class(&text, plan, class);
    for (size_t i = 0; i < class->target_count; i++) {
        const struct fence_plan_target *target = &class->targets[i];

        fence_text_add(&text, " %u to %u ", target->position, target->port);
        add_class(&text, plan, &plan->classes[target->index]);
    }
    return finish(&text, ret_text);
}

/* What the peer is but for its route. */
static void add_peer(struct fence_text *text, const struct fence_plan *plan, uint32_t index)
{
    const struct fence_plan_peer *peer = &plan->peers[index];

    if (!peer->reserved)
        fence_text_string(text, plan->identities[peer->identity].content);
    if (peer->under != FENCE_PLAN_NONE) {
        fence_text_add(text, " under ");
        fence_text_string(text, plan->identities[peer->under].content);
    }
    fence_text_raw(text, peer->content, strlen(peer->content));
}

static void add_target(struct fence_text *text, const struct fence_plan *plan,
                       const struct fence_plan_target *target)
{
    struct fence_text peer = {0};

    add_peer(&peer, plan, target->index);
    fence_text_add(text, " %u to %u ", target->position, target->port);
    fence_text_string(text, peer.failed ? "" : peer.data);
    text->failed |= peer.failed;
    fence_text_done(&peer);
}

int fence_plan_peer_content(const struct fence_plan *plan, uint32_t index,
                            struct fence_text *ret_text)
{
    const struct fence_plan_peer *peer = &plan->peers[index];
    const struct fence_plan_route *route =
        peer->route == FENCE_PLAN_NONE ? NULL : &plan->routes[peer->route];
    struct fence_text text = {0};

    add_peer(&text, plan, index);
    for (size_t i = 0; route && i < route->count; i++)
        add_target(&text, plan, &route->targets[i]);
    return finish(&text, ret_text);
}

const struct fence_interval *fence_plan_interval(const struct fence_plan_table *table,
                                                 uint32_t position)
{
    size_t low = 0, high = table->count;

    while (low + 1 < high) {
        size_t middle = low + (high - low) / 2;

        if (table->intervals[middle].low <= position)
            low = middle;
        else
            high = middle;
    }
    return &table->intervals[low];
}

/* ---- telling -------------------------------------------------------------------------------- */

/* Every list with its items, for what is done to all of them alike. */
struct row {
    struct fence_plan_list *list;
    char *items;
    size_t size;
};
#define ROW(plan, name)                                                                            \
    {                                                                                              \
        &(plan)->name##_list, (char *)(plan)->name, sizeof(*(plan)->name)                          \
    }
#define ROWS(plan)                                                                                 \
    {                                                                                              \
        ROW(plan, identities), ROW(plan, atoms), ROW(plan, classes), ROW(plan, peers),             \
            ROW(plan, rules), ROW(plan, tables), ROW(plan, sets), ROW(plan, endpoints),            \
            ROW(plan, routes),                                                                     \
    }

void fence_plan_told(struct fence_plan *plan)
{
    const struct row rows[] = ROWS(plan);

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        struct fence_plan_list *list = rows[i].list;

        for (size_t j = 0; j < list->touched_count; j++)
            ((struct fence_plan_item *)(rows[i].items + list->touched[j] * rows[i].size))->touched =
                false;
        list->touched_count = 0;
    }
    plan->prefixes_touched = false;
    fence_addresses_told(&plan->addresses);
}

int fence_plan_touch_all(struct fence_plan *plan)
{
    const struct row rows[] = ROWS(plan);

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++)
        for (uint32_t j = 0; j < rows[i].list->count; j++)
            fence_plan_touch_item(rows[i].list,
                                  (struct fence_plan_item *)(rows[i].items + j * rows[i].size), j);
    plan->prefixes_touched = true;
    plan->teller = NULL;
    return fence_addresses_touch_all(&plan->addresses);
}

void fence_plan_touch_endpoints(struct fence_plan *plan)
{
    for (uint32_t i = 0; i < plan->endpoints_list.count; i++)
        FENCE_PLAN_TOUCH(plan, endpoints, i);
}

bool fence_plan_is_touched(const struct fence_plan *plan)
{
    return plan->identities_list.touched_count || plan->classes_list.touched_count ||
           plan->peers_list.touched_count || plan->rules_list.touched_count ||
           plan->tables_list.touched_count || plan->sets_list.touched_count ||
           plan->endpoints_list.touched_count || plan->prefixes_touched ||
           plan->addresses.marked_count;
}
