/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/flows: what the book is made of. */
#pragma once

#include <sys/queue.h>

#include "lib/base/slots.h"
#include "lib/flows/book.h"

/* A kernel's entry that was not seen for so many looks is forgotten, and so is a name. */
#define BOOK_FORGET_LOOKS 30u
/* A flow of which so many addresses were heard needs no more. */
#define BOOK_HEARD_ENOUGH 256u
/* After a connection with such an end it is worth listening for so many looks. */
#define BOOK_LISTEN_LOOKS 15u

struct book_flow;
TAILQ_HEAD(book_flow_list, book_flow);

/* A policy's name, shared. */
struct book_text {
    struct fence_slot_entry slot;
    uint32_t references;
    char bytes[]; /* with its NUL */
};

/* Bytes: kind, then namespace, name and labels, each with its NUL. */
struct book_end {
    struct fence_slot_entry slot;
    uint32_t references;
    uint32_t flows;                 /* that begin here */
    struct book_flow_list outgoing; /* these, the one unseen for longest first */
    struct fence_flow_end shown;    /* points into `bytes` */
    char bytes[];
};

/* Zeroed before it is filled: its bytes are the key. */
struct book_key {
    struct book_end *source;
    struct book_end *destination;
    uint16_t port;
    uint8_t protocol;
    uint8_t direction;
    uint8_t verdict; /* enum fence_flow_verdict */
    uint8_t pad[3];
};

struct book_remotes {
    struct fence_addr addrs[FENCE_FLOW_REMOTES];
    uint32_t count;
    uint64_t heard;
    uint64_t omitted;
};

struct book_flow {
    struct fence_slot_entry slot;
    struct book_key key;
    TAILQ_ENTRY(book_flow) all;
    TAILQ_ENTRY(book_flow) outgoing;
    struct book_text *policy; /* NULL = none */
    struct book_text *audit_policy;
    uint32_t rule;
    uint32_t audit_rule;
    uint8_t reason;
    uint8_t audit_reason;
    uint64_t count; /* 0: an event told an address, the map nothing yet */
    uint64_t first_ns;
    uint64_t last_ns;
    struct book_remotes *remotes; /* NULL = none */
};

/* What was counted of one entry of the kernel's map. */
struct book_cursor {
    struct fence_slot_entry slot;
    struct fence_flow_key key;
    struct book_end *source; /* who these numbers were at the last look */
    struct book_end *destination;
    uint64_t count;
    uint64_t last;   /* jiffies of the last look that saw it */
    uint64_t looked; /* number of that look; 0 = nothing was counted yet */
};

/* A number of an identity, with the name that it had at the last look. */
struct book_number {
    struct fence_slot_entry slot;
    uint32_t number;
    uint64_t looked;  /* number of the look that asked last */
    uint64_t changed; /* look at which it was somebody else than before */
    struct book_end *end;
};

struct fence_flow_book {
    struct fence_slots ends;
    struct fence_slots texts;
    struct fence_slots flows;
    struct fence_slots cursors;
    struct fence_slots numbers;
    struct book_flow_list all; /* the one unseen for longest first */
    struct fence_flow_losses losses;
    uint64_t since_ns;
    uint64_t version;
    uint64_t look;         /* number of the present one, or the last */
    uint64_t listen_until; /* look */
    struct fence_flow_moment moment;
    const struct fence_flow_names *names;
};

/* ends.c: both find or make, and add a reference; NULL when out of memory. */
struct book_end *book_end_ref(struct fence_flow_book *book, const struct fence_flow_end *end);
void book_end_unref(struct fence_flow_book *book, struct book_end **end);
/* "" gives NULL, and then *ret_text is NULL too. */
int book_text_ref(struct fence_flow_book *book, const char *bytes, struct book_text **ret_text);
void book_text_unref(struct fence_flow_book *book, struct book_text **text);

/* book.c */
struct book_key book_key_make(struct book_end *source, struct book_end *destination,
                              const struct fence_flow_key *key);
struct book_flow *book_flow_find(const struct fence_flow_book *book, const struct book_key *key);
/* Find or make; makes room. NULL when out of memory. */
struct book_flow *book_flow_get(struct fence_flow_book *book, const struct book_key *key);
/* It was seen just now. */
void book_flow_touch(struct fence_flow_book *book, struct book_flow *flow);
void book_flow_show(const struct book_flow *flow, struct fence_flow_seen *ret_seen);
/* Is one of its ends of a kind whose addresses are worth knowing? */
bool book_flow_has_remote(const struct book_flow *flow);
int book_flow_set_rule(struct fence_flow_book *book, struct book_text **text, uint32_t *index,
                       const struct fence_flow_rule *rule);
/* NULL when out of memory. */
struct book_remotes *book_flow_remotes(struct book_flow *flow);

/* count.c */
struct book_cursor *book_cursor_add(struct fence_flow_book *book, const struct fence_flow_key *key);
void book_cursor_remove(struct fence_flow_book *book, struct book_cursor *cursor);
void book_count_done(struct fence_flow_book *book);
