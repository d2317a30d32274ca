# SPDX-License-Identifier: Apache-2.0
"""install.yaml is what kubectl renders, every kubectl renders the same, and what is rendered fits together: names,
labels, volumes, rights, the image's version, the programs' options."""

import glob
import os
import re
import shutil
import subprocess
import sys

from kubernetes import load

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.path.join(os.environ.get("FENCE_BUILD", os.path.join(ROOT, "build")), "bin")
# Debian's, unpacked by scripts/deps.sh where another package has its place
DEBIANS = os.environ.get("FENCE_KUBECTL", "/usr/local/src/podfence/kubernetes-client/usr/bin/kubectl")
OVERLAYS = ["flannel", "k3s", "calico", "old-runtime"]
failures = []


def expect(what, measured, expected):
    if measured != expected:
        failures.append(f"{what}: measured {measured}, expected {expected}")


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


# ---- rendering --------------------------------------------------------------------------------------------------

def kubectls():
    found = [path for path in (shutil.which("kubectl"), shutil.which(DEBIANS)) if path]
    if not found:
        print("skipped: no kubectl: run scripts/deps.sh", file=sys.stderr)
        sys.exit(77)
    return found


def render(kubectl, overlay):
    run = subprocess.run([kubectl, "kustomize", os.path.join(ROOT, "conf/overlays", overlay)],
                         capture_output=True, text=True, check=False)
    expect(f"{kubectl} kustomize {overlay}: {run.stderr}", run.returncode, 0)
    return run.stdout


def name_of(item):
    return item["kind"] + "/" + item["metadata"]["name"]


def by_name(text):
    documents = {name_of(document): document for document in load(text)}
    volumes = documents["DaemonSet/podfence"]["spec"]["template"]["spec"]["volumes"]
    volumes.sort(key=lambda volume: volume["name"])  # of patched ones the order is kustomize's
    return documents


def differences(one, two, path=""):
    """Paths whose values differ."""
    if isinstance(one, dict) and isinstance(two, dict):
        for key in sorted({*one, *two}):
            yield from differences(one.get(key), two.get(key), f"{path}.{key}")
    elif isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        for index, pair in enumerate(zip(one, two)):
            yield from differences(*pair, f"{path}.{index}")
    elif one != two:
        yield path


def rendered():
    """Of each overlay its objects by name."""
    programs = kubectls()
    objects = {overlay: by_name(render(programs[0], overlay)) for overlay in OVERLAYS}
    for kubectl in programs:
        expect(f"install.yaml is not what {kubectl} kustomize conf/overlays/flannel prints",
               render(kubectl, "flannel") == read("conf/install.yaml"), True)
        for overlay in OVERLAYS[1:]:
            expect(f"{overlay} by {kubectl}", by_name(render(kubectl, overlay)) == objects[overlay], True)
    print(f"{len(OVERLAYS)} overlays rendered by {', '.join(programs)}")
    return objects


def check_overlays(objects):
    pod = ".DaemonSet/podfence.spec.template.spec"
    volumes = [volume["name"] for volume in pod_of(objects["flannel"])["volumes"]]
    conf, plugins = (f"{pod}.volumes.{volumes.index(name)}.hostPath" for name in ("cni-conf", "cni-bin"))
    differ = {
        "k3s": sorted([f"{conf}.path", f"{plugins}.path", f"{plugins}.type"]),
        "calico": [f"{pod}.containers.0.args"],
        "old-runtime": [f"{pod}.containers.0.securityContext.capabilities.add"],
    }
    for overlay, paths in differ.items():
        expect(f"what {overlay} changes", sorted(differences(objects["flannel"], objects[overlay])), paths)
    expect("arguments with Calico", container_of(objects["calico"])["args"],
           container_of(objects["flannel"])["args"] + ["--mark-mask=0x10ff"])


# ---- what is rendered -------------------------------------------------------------------------------------------

def pod_of(objects):
    return objects["DaemonSet/podfence"]["spec"]["template"]["spec"]


def container_of(objects):
    (container,) = pod_of(objects)["containers"]
    return container


def check_names(objects):
    expect("objects", sorted(f"{item['apiVersion']} {name}" for name, item in objects.items()), sorted([
        "v1 Namespace/podfence", "v1 ServiceAccount/podfence", "v1 ConfigMap/podfence-examples",
        "rbac.authorization.k8s.io/v1 ClusterRole/podfence", "rbac.authorization.k8s.io/v1 ClusterRoleBinding/podfence",
        "rbac.authorization.k8s.io/v1 Role/podfence", "rbac.authorization.k8s.io/v1 RoleBinding/podfence",
        "apiextensions.k8s.io/v1 CustomResourceDefinition/segmentpolicies.podfence.io",
        "apiextensions.k8s.io/v1 CustomResourceDefinition/clustersegmentpolicies.podfence.io",
        "apiextensions.k8s.io/v1 CustomResourceDefinition/nodereports.podfence.io",
        "apiextensions.k8s.io/v1 CustomResourceDefinition/addressslices.podfence.io",
        "apps/v1 DaemonSet/podfence"]))
    for name, item in objects.items():
        cluster_wide = name.split("/")[0] in ("Namespace", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition")
        expect(f"{name}: namespace", item["metadata"].get("namespace"), None if cluster_wide else "podfence")
        expect(f"{name}: label", item["metadata"]["labels"].get("app.kubernetes.io/name"), "podfence")
    daemons = objects["DaemonSet/podfence"]["spec"]
    labels = daemons["template"]["metadata"]["labels"]
    expect("selector", {key: labels.get(key) for key in daemons["selector"]["matchLabels"]},
           daemons["selector"]["matchLabels"])


# what is written, and how
WRITES = {
    "podfence.io/segmentpolicies/status": ["patch"], "podfence.io/clustersegmentpolicies/status": ["patch"],
    "podfence.io/addressslices": ["get", "list", "watch", "create", "update", "patch", "delete"],
    "podfence.io/nodereports": ["get", "list", "watch", "create", "patch"], "events.k8s.io/events": ["create"],
}


def check_writes(objects):
    found = {}
    for rule in objects["ClusterRole/podfence"]["rules"]:
        names = [f"{group}/{resource}" for group in rule["apiGroups"] for resource in rule["resources"]]
        found.update({name: rule["verbs"] for name in names if rule["verbs"] != ["get", "list", "watch"]})
    expect("writes", found, WRITES)
    expect("the lease", objects["Role/podfence"]["rules"], [
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "update"]}])


def check_rights(objects):
    check_writes(objects)
    resources = []
    for rule in objects["ClusterRole/podfence"]["rules"]:
        expect("keys of a rule", sorted(rule), ["apiGroups", "resources", "verbs"])
        if rule["verbs"] != ["get", "list", "watch"]:
            continue
        resources += [f"{group}/{resource}" for group in rule["apiGroups"] for resource in rule["resources"]]
    # conf.rights shows that the daemon asks for these, and for nothing else
    expect("resources", sorted(resources), sorted([
        "/configmaps", "/namespaces", "/nodes", "/pods", "/services", "discovery.k8s.io/endpointslices",
        "networking.k8s.io/networkpolicies", "policy.networking.k8s.io/clusternetworkpolicies",
        "podfence.io/segmentpolicies", "podfence.io/clustersegmentpolicies"]))
    for kind in ("ClusterRole", "Role"):
        binding = objects[f"{kind}Binding/podfence"]
        expect("role", (binding["roleRef"]["kind"], binding["roleRef"]["name"]), (kind, "podfence"))
        expect("subjects", binding["subjects"], [{"kind": "ServiceAccount", "name": "podfence", "namespace": "podfence"}])
    expect("service account", pod_of(objects)["serviceAccountName"], "podfence")
    expect("token of the daemon", pod_of(objects)["automountServiceAccountToken"], True)
    expect("token of others with this account", objects["ServiceAccount/podfence"]["automountServiceAccountToken"], False)
    expect("objects of the API", "--kubernetes" in container_of(objects)["args"], True)


def check_pod(objects):
    pod, container = pod_of(objects), container_of(objects)
    expect("hostNetwork", pod["hostNetwork"], True)
    expect("other namespaces of the host", (pod.get("hostPID"), pod.get("hostIPC")), (None, None))
    expect("priority", pod["priorityClassName"], "system-node-critical")
    expect("tolerations", pod["tolerations"], [{"operator": "Exists"}])
    context = container["securityContext"]
    expect("capabilities", context["capabilities"], {"drop": ["ALL"], "add": ["BPF", "NET_ADMIN", "PERFMON"]})
    for key, value in (("privileged", False), ("allowPrivilegeEscalation", False), ("readOnlyRootFilesystem", True),
                       ("seccompProfile", {"type": "RuntimeDefault"})):
        expect(key, context[key], value)
    version = re.search(r"project\(podfence VERSION ([0-9.]+)", read("CMakeLists.txt")).group(1)
    expect("image", container["image"], f"localhost/podfence:{version}")
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        program, *arguments = container[probe]["exec"]["command"]
        run = subprocess.run([os.path.join(BIN, program), *arguments, "--socket=/nowhere/socket"], capture_output=True,
                             text=True, check=False)
        expect(f"{probe} without a daemon", (run.returncode, "not running" in run.stderr), (1, True))


def check_volumes(objects):
    pod, container = pod_of(objects), container_of(objects)
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    expect("volumes that are mounted", sorted(mounts), sorted(volumes))
    written = sorted(name for name, mount in mounts.items() if not mount.get("readOnly"))
    expect("volumes that are written", written, ["bpffs", "cni-bin", "cni-conf", "run", "state"])
    for name in ("bpffs", "run", "state"):
        expect(f"path of {name} here and on the host", mounts[name]["mountPath"], volumes[name]["hostPath"]["path"])
    expect("examples", volumes["examples"]["configMap"]["name"] in objects["ConfigMap/podfence-examples"]["metadata"]["name"], True)
    expect("the user's ConfigMap", volumes["policies"]["configMap"], {"name": "podfence-policies", "optional": True})
    for argument in container["args"]:
        value = argument.partition("=")[2]
        inside = [mount["mountPath"] for mount in mounts.values()
                  if value == mount["mountPath"] or value.startswith(mount["mountPath"] + "/")]
        expect(f"a volume for {argument}", bool(inside), value.startswith("/"))


def check_arguments(objects):
    """The daemon reads its options up to --version."""
    run = subprocess.run([os.path.join(BIN, "podfenced"), *container_of(objects)["args"], "--version"],
                         capture_output=True, text=True, check=False)
    expect(f"podfenced with the DaemonSet's arguments: {run.stderr}", run.returncode, 0)


def check_examples(objects):
    files = {os.path.basename(path): read(path) for path in glob.glob(os.path.join(ROOT, "conf/base/examples/*"))}
    expect("the ConfigMap's files", objects["ConfigMap/podfence-examples"]["data"] == files, True)
    for name in sorted(files):
        run = subprocess.run([os.path.join(BIN, "podfencectl"), "validate", os.path.join(ROOT, "conf/base/examples", name)],
                             capture_output=True, text=True, check=False)
        expect(f"{name}: {run.stdout}", (run.returncode, "0 refused, 0 with warnings" in run.stdout), (0, True))


def check_crds(objects):
    for name in ("segmentpolicies", "clustersegmentpolicies", "nodereports", "addressslices"):
        (source,) = load(read(f"conf/base/crds/{name}.yaml"))
        expect(f"{name} as rendered", objects[f"CustomResourceDefinition/{name}.podfence.io"] == source, True)


all_objects = rendered()
check_overlays(all_objects)
for overlay_objects in all_objects.values():
    check_arguments(overlay_objects)
for check in (check_names, check_rights, check_pod, check_volumes, check_examples, check_crds):
    check(all_objects["flannel"])
for failure in failures[:20]:
    print("FAIL", failure)
print(f"{len(failures)} failures")
sys.exit(1 if failures else 0)
