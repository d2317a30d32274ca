/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a document to objects, with the validation of the API server (NetworkPolicy: Kubernetes
 * pkg/apis/networking/validation; ClusterNetworkPolicy: the CRD's schema; SegmentPolicy: DESIGN
 * section 4.4). Unknown values are errors. Unknown fields are errors in our own kinds: a rule with
 * `form:` for `from:` would match everyone. In the others they are a warning, as the API server
 * drops them, and the rule, peer or port that has one allows nobody.
 */
#pragma once

#include "lib/objects/doc.h"
#include "lib/objects/model.h"

/* Which objects a refused one may have been: their last good versions stay in force. */
enum fence_refused {
    FENCE_REFUSED_NOT,
    FENCE_REFUSED_ONE,    /* the one that `id` names */
    FENCE_REFUSED_NAMED,  /* its kind is unknown: those of that namespace and name */
    FENCE_REFUSED_ANYONE, /* not even its name could be read */
};

/* What became of one object of a file. */
struct fence_decoded {
    struct fence_object *object; /* NULL when it was refused */
    enum fence_refused refused;
    char *id;          /* Kind/namespace/name, "?" for a part that could not be read */
    unsigned int line; /* in the file; for what a ConfigMap holds, where the value begins */
    char *error;   /* "line 12: spec.ingress[0].ports[1].port: 70000 is not a port (1 to 65535)" */
    char *warning; /* one or several, "; " between; NULL when none */
    /*
     * Canonical text: what --state keeps, and what two versions are compared by. Holds only what
     * the decoder looks at (a new resourceVersion is no change). NULL when refused.
     */
    char *json;
};

struct fence_decoded_list {
    struct fence_decoded *items;
    size_t count;
    size_t capacity;
};

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
