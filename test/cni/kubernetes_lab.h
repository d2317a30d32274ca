/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's side of the Kubernetes API, with a client that says what the test wants. */
#pragma once

#include "cni/daemon/kubernetes.h"

#define POLICY      FENCE_OBJECT_NETWORK_POLICY
#define CONFIG_MAPS FENCE_OBJECT_KINDS
#define SLICES      (CONFIG_MAPS + 1)

struct fence_kube {
    const struct fence_kube_ops *ops;
    void *context;
    struct fence_kube_state states[FENCE_KUBERNETES_RESOURCES];
    void (*next)(struct fence_kube *kube); /* what the next handle does */
};

/* The one that was made last. */
struct fence_kube *kube_lab_client(void);
/* What it was asked for. */
extern unsigned int kube_resource_count;

/* An object; a list of one, or of none. */
void kube_tell(struct fence_kube *kube, unsigned int resource, const char *text);
void kube_list(struct fence_kube *kube, unsigned int resource, const char *text);

struct kube_lab {
    struct fence_store *store;
    struct fence_kubernetes *kubernetes;
};

/* A new one in *state; `own_node` as in struct fence_kubernetes_options. */
int kube_lab_open(void **state, const char *own_node);
int kube_lab_close(void **state);
/* Handle what `next` does. */
struct fence_kubernetes_changes kube_lab_handle(struct kube_lab *lab,
                                                void (*next)(struct fence_kube *kube));
enum fence_kubernetes_wellness kube_lab_problem(const struct kube_lab *lab, unsigned int resource);
struct fence_kubernetes_kind kube_lab_kind(const struct kube_lab *lab, unsigned int resource);
/* "" = it is well. */
void kube_assert_problem(const struct kube_lab *lab, unsigned int resource, const char *wanted);
/* So many kinds, with these selectors of Pods and Nodes. */
void kube_assert_resources(const struct kube_lab *lab, unsigned int count, const char *pods,
                           const char *nodes);
