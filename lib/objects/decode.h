/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a document to objects, with the validation of the API server (NetworkPolicy: Kubernetes
 * pkg/apis/networking/validation; ClusterNetworkPolicy: the CRD's schema; SegmentPolicy: DESIGN
 * section 4.4). Unknown values are errors. Unknown fields are errors in our own kinds: a rule with
 * `form:` for `from:` would match everyone. In the others they are a warning, as the API server
 * drops them, and the rule, peer or port that has one allows nobody.
 */
#pragma once

#include "lib/base/hash.h"
#include "lib/objects/doc.h"
#include "lib/objects/model.h"
#include "lib/objects/texts.h"

/* Which objects a refused one may have been: their last good versions stay in force. */
enum fence_refused {
    FENCE_REFUSED_NOT,
    FENCE_REFUSED_ONE,    /* the one that `id` names */
    FENCE_REFUSED_NAMED,  /* its kind is unknown: those of that namespace and name */
    FENCE_REFUSED_ANYONE, /* not even its name could be read */
};

/* What became of one object of a file. */
struct fence_decoded {
    struct fence_object *object; /* NULL when it was refused, or is gone */
    enum fence_refused refused : 8;
    bool gone : 1;     /* its source says so (fence_decode_gone) */
    unsigned int line; /* in the file; for what a ConfigMap holds, where the value begins; 0 = of
                          the API, where nothing has lines */
    char *id;          /* refused or gone: Kind/namespace/name, "?" for what could not be read */
    char *error;   /* "line 12: spec.ingress[0].ports[1].port: 70000 is not a port (1 to 65535)" */
    char *warning; /* one or several, "; " between; NULL when none */
    __u64 text; /* fence_hash_text of its canonical one, or what a source has instead: equal hash,
                   equal object, while both live */
};

/*
 * All files of a folder are decoded before the first goes into the store. So that this can be the
 * pods of a cluster, an object has no name beside its own and no text of its own here.
 */
struct fence_decoded_list {
    struct fence_decoded *items;
    size_t count;
    size_t capacity;
    /*
     * Canonical texts of the objects, a line for each item, empty for one that was refused: what
     * --state keeps. They hold only what the decoder looks at (a new resourceVersion is no change).
     */
    struct fence_texts texts;
};

/* Kind/namespace/name of an item, refused or not. New string or NULL. */
char *fence_decoded_id(const struct fence_decoded *decoded);

void fence_decoded_list_done(struct fence_decoded_list *list);

/*
 * All objects of a stream: List kinds are unrolled, a ConfigMap's data values are read as files
 * (the lines in their errors count inside the value; errors name the key). Fails only when the
 * stream does not parse or memory ends; a refused object is an element with error set, and so is a
 * ConfigMap for each of its values that does not parse.
 */
int fence_decode_stream(const char *data, size_t size, struct fence_decoded_list *ret_list,
                        struct fence_err *err);

/* What the user allows on top: the annotation podfence.io/enforcement on foreign kinds, and all
 * policies as Audit. Set once at start. */
struct fence_decode_options {
    bool audit_annotation;
    bool audit_all;
};
void fence_decode_set_options(const struct fence_decode_options *options);

/* ---- objects of the API --------------------------------------------------------------------- */

/*
 * One object that is of `kind` when it does not say what it is. Its canonical text is not kept,
 * only the hash of it. One that is refused is the one of its name (FENCE_REFUSED_ONE). The caller
 * frees it with fence_decoded_done. -EINVAL, -EFBIG: it is no JSON, has no name, or is another
 * thing; -ENOMEM.
 */
int fence_decode_json(enum fence_kind kind, const struct fence_json *json,
                      struct fence_decoded *ret_decoded, struct fence_err *err);
/* The same of an object that is gone: nothing but its name is looked at. */
int fence_decode_gone(enum fence_kind kind, const struct fence_json *json,
                      struct fence_decoded *ret_decoded, struct fence_err *err);
/* The namespace and name of a ConfigMap, new strings, and all that its values hold, as the files of
 * a folder. `ret_list` NULL: its name is all. */
struct fence_config_map {
    char *namespace_name;
    char *name;
};
int fence_decode_config_map(const struct fence_json *json, struct fence_config_map *ret_config_map,
                            struct fence_decoded_list *ret_list, struct fence_err *err);
void fence_config_map_done(struct fence_config_map *config_map);

/*
 * The pods and nodes of an AddressSlice, each as its own decoder would give it; those that
 * `own_node` has (and that node itself, "" = none) are passed over. A slice that is refused as a
 * whole is one element of the list, FENCE_REFUSED_ANYONE. The caller ends it with
 * fence_address_slice_done. -EINVAL, -EFBIG: not even its name can be read; -ENOMEM.
 */
struct fence_address_slice {
    char *name;
    bool complete; /* it says that all pods and nodes are in slices */
    struct fence_decoded_list list;
};
int fence_decode_address_slice(const struct fence_json *json, const char *own_node,
                               struct fence_address_slice *ret_slice, struct fence_err *err);
/* Its name alone. */
int fence_decode_address_slice_name(const struct fence_json *json,
                                    struct fence_address_slice *ret_slice, struct fence_err *err);
void fence_address_slice_done(struct fence_address_slice *slice);

void fence_decoded_done(struct fence_decoded *decoded);
