#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The lab's API server (test/kube/server):
apiserver.py sync FOLDER STAGE          its objects become those of the YAML files in STAGE
apiserver.py patch FOLDER PATH JSON     a merge patch; prints when it was answered, as netprobe now does
apiserver.py get|delete FOLDER PATH
apiserver.py control FOLDER METHOD PATH [JSON|-]
apiserver.py rights FOLDER MANIFEST         refuses what the ClusterRole in these manifests does not allow
"""

import glob
import http.client
import json
import os
import ssl
import sys
import time

import yaml

TOKEN = "test-token"
KINDS = {
    "Pod": "api/v1/{}pods", "Namespace": "api/v1/namespaces", "Node": "api/v1/nodes",
    "ConfigMap": "api/v1/{}configmaps", "Service": "api/v1/{}services",
    "EndpointSlice": "apis/discovery.k8s.io/v1/{}endpointslices",
    "NetworkPolicy": "apis/networking.k8s.io/v1/{}networkpolicies",
    "ClusterNetworkPolicy": "apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies",
    "SegmentPolicy": "apis/podfence.io/v1alpha1/{}segmentpolicies",
    "ClusterSegmentPolicy": "apis/podfence.io/v1alpha1/clustersegmentpolicies",
    "AddressSlice": "apis/podfence.io/v1alpha1/addressslices",
    "Lease": "apis/coordination.k8s.io/v1/{}leases",
}


def read(folder, name):
    with open(os.path.join(folder, name), encoding="utf-8") as file:
        return file.read().strip()


def answer(connection, what):
    response = connection.getresponse()
    text = response.read()
    connection.close()
    if response.status >= 300:
        sys.exit(f"{what}: {response.status} {text.decode()}")
    return text


def control(folder, method, path, body=None):
    host, _, port = read(folder, "control").removeprefix("http://").rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    connection.request(method, path, body)
    return answer(connection, f"{method} {path}")


def ask(folder, method, path, body=None, kind="application/json"):
    host, _, port = read(folder, "server").removeprefix("https://").rpartition(":")
    tls = ssl.create_default_context(cafile=os.path.join(folder, "ca.crt"))
    connection = http.client.HTTPSConnection(host.strip("[]"), int(port), context=tls, timeout=30)
    connection.request(method, path, body, {"Authorization": f"Bearer {TOKEN}", "Content-Type": kind})
    return answer(connection, f"{method} {path}")


def path_of(item):
    metadata = item["metadata"]
    namespace = f"namespaces/{metadata['namespace']}/" if metadata.get("namespace") else ""
    return f"/{KINDS[item['kind']].format(namespace)}/{metadata['name']}"


def staged(stage):
    objects = {}
    for name in sorted(glob.glob(os.path.join(stage, "*.yaml"))):
        with open(name, encoding="utf-8") as file:
            for item in yaml.safe_load_all(file):
                if item:
                    objects[path_of(item)] = item
    return objects


def sync(folder, stage):
    """What was there before is remembered: the server fills in more than it is told."""
    memory = os.path.join(folder, "synced.json")
    before = json.loads(read(folder, "synced.json")) if os.path.exists(memory) else {}
    after = staged(stage)
    changed = [item for path, item in after.items() if before.get(path) != item]
    if changed:
        control(folder, "POST", "/objects", json.dumps({"apiVersion": "v1", "kind": "List", "items": changed}))
    for path in before.keys() - after.keys():
        ask(folder, "DELETE", path)
    with open(memory, "w", encoding="utf-8") as file:
        json.dump(after, file)


def restrict(folder, manifest, more="[]"):
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../conf"))
    from kubernetes import load, refusals  # pylint: disable=import-outside-toplevel
    with open(manifest, encoding="utf-8") as file:
        items = load(file.read())
    # rights in one namespace are rights everywhere here
    role = {"rules": [rule for item in items if item["kind"] in ("ClusterRole", "Role") for rule in item["rules"]]
            + json.loads(more)}
    control(folder, "POST", "/rights", json.dumps(refusals(role, lambda path: json.loads(ask(folder, "GET", path)))))


def main():
    verb, folder, *rest = sys.argv[1:]
    if verb == "sync":
        sync(folder, *rest)
    elif verb == "rights":
        restrict(folder, *rest)
    elif verb in ("get", "delete"):
        print(ask(folder, verb.upper(), *rest).decode())
    elif verb == "patch":
        ask(folder, "PATCH", rest[0], rest[1], "application/merge-patch+json")
        print(f"{time.clock_gettime(time.CLOCK_BOOTTIME) * 1000:.1f}")
    else:
        if rest[2:] == ["-"]:
            rest[2] = sys.stdin.read()
        print(control(folder, *rest).decode())


main()
