# SPDX-License-Identifier: Apache-2.0
"""kubectl, which knows nothing of test-apiserver, reads from it what was put in, and writes: it is an API server, not
merely what our own client expects."""

import json
import os
import shutil
import subprocess
import tempfile
import threading

from apiserver import FIXTURES, LISTS, ApiServer, expect, finish, fixture, skip

# Debian's, unpacked by scripts/deps.sh where another package has its place
DEBIANS = os.environ.get("FENCE_KUBECTL", "/usr/local/src/podfence/kubernetes-client/usr/bin/kubectl")
ALL = ["--all-namespaces"]
POLICY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: applied, namespace: lab}
spec: {podSelector: {}, policyTypes: [Ingress]}
"""
SEGMENT = """
apiVersion: podfence.io/v1alpha1
kind: SegmentPolicy
metadata: {name: applied, namespace: lab}
spec: {mode: Audit}
"""
CLUSTER = """
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: wide}
spec: {priority: 10}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: config, namespace: lab, labels: {a: b}}
data: {x: "y"}
"""


class Kubectl:
    def __init__(self, program, server, config="kubeconfig"):
        self.program, self.server = program, server
        self.home = tempfile.mkdtemp(dir=server.folder)  # its cache
        self.environment = {**os.environ, "KUBECONFIG": os.path.join(server.folder, config), "HOME": self.home}

    def run(self, *arguments, text=None, status=0):
        run = subprocess.run([self.program, *arguments], input=text, capture_output=True, text=True, check=False,
                             env=self.environment, timeout=60)
        expect(f"kubectl {' '.join(arguments)}: {run.stderr}", run.returncode, status)
        return run.stdout if status == 0 else run.stderr

    def get(self, *arguments):
        return json.loads(self.run("get", *arguments, "-o", "json"))

    def has_subresources(self):
        return "--subresource" in self.run("patch", "--help")


def check_reading(kubectl):
    for name in LISTS:
        recorded = json.loads(fixture(f"list-{name}", "body"))
        for item in recorded["items"]:
            item |= {"kind": recorded["kind"].removesuffix("List"), "apiVersion": recorded["apiVersion"]}
        scope = [] if name in ("namespaces", "nodes") else ALL
        # kubectl leaves managedFields out unless it is told to show them; the older one always shows them
        measured = kubectl.get(name, *scope)["items"]
        for item in measured + recorded["items"]:
            item["metadata"].pop("managedFields", None)
        expect(f"get {name}", measured, recorded["items"])
    expect("get -o yaml", kubectl.run("get", "pods", *ALL, "-o", "yaml").count("kind: Pod\n"), 8)
    for short in ("po", "netpol", "svc", "ns", "no", "segpol", "csegpol", "cnp", "cm"):
        kubectl.run("get", short)
    expect("a table", len(kubectl.run("get", "pods", *ALL, "--no-headers").splitlines()), 8)
    expect("in pages", len(kubectl.run("get", "pods", *ALL, "--no-headers", "--chunk-size=3").splitlines()), 8)
    expect("by label", kubectl.run("get", "pods", "-n", "shop", "-l", "app in (web)", "-o", "name").split(),
           ["pod/web-1", "pod/web-2"])
    expect("by node", len(kubectl.get("pods", *ALL, "--field-selector", "spec.nodeName=node-a")["items"]), 4)
    expect("what is not there", 'pods "nope" not found' in kubectl.run("get", "pod", "nope", status=1), True)
    kinds = kubectl.run("api-resources", "-o", "name").split()
    expect("api-resources", {"segmentpolicies.podfence.io", "pods", "endpointslices.discovery.k8s.io"} <= set(kinds), True)


def check_watching(kubectl):
    """-w sees what others do."""
    # pylint: disable-next=consider-using-with
    process = subprocess.Popen([kubectl.program, "get", "ns", "-w", "-o", "name"], stdout=subprocess.PIPE, text=True,
                               env=kubectl.environment)
    lines = [process.stdout.readline().strip() for _ in range(7)]  # what is there
    expect("a namespace that is there", "namespace/shop" in lines, True)
    kubectl.server.until("its watch", lambda: kubectl.server.state()["openWatches"] == 1)
    killer = threading.Timer(20, process.kill)
    killer.start()
    kubectl.run("create", "-f", "-", text='{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "seen"}}')
    expect("created", process.stdout.readline().strip(), "namespace/seen")
    kubectl.run("label", "ns", "seen", "a=b")
    expect("labelled", process.stdout.readline().strip(), "namespace/seen")
    kubectl.run("delete", "ns", "seen")
    expect("marked", process.stdout.readline().strip(), "namespace/seen")
    killer.cancel()
    process.terminate()
    process.wait()


def check_writing(kubectl):
    for text, name in ((POLICY, "netpol"), (SEGMENT, "segpol")):
        said = [kubectl.run("apply", "-f", "-", text=text).split()[-1] for _ in range(2)]
        expect(f"apply {name} twice", said, ["created", "unchanged"])
        changed = text.replace("Ingress", "Egress").replace("Audit", "Enforce")
        expect(f"apply {name} changed", kubectl.run("apply", "-f", "-", text=changed).split()[-1], "configured")
        expect(f"its generation of {name}", kubectl.get(name, "applied", "-n", "lab")["metadata"]["generation"], 2)
    expect("what was applied", kubectl.get("netpol", "applied", "-n", "lab")["spec"],
           {"podSelector": {}, "policyTypes": ["Egress"]})
    kubectl.run("apply", "--server-side", "--force-conflicts", "-f", "-", text=CLUSTER)
    expect("server side", (kubectl.get("cnp", "wide")["spec"], kubectl.get("cm", "config", "-n", "lab")["data"]),
           ({"priority": 10}, {"x": "y"}))
    kubectl.run("label", "pod", "shell", "-n", "lab", "added=yes", "app-")
    labels = kubectl.get("pod", "shell", "-n", "lab")["metadata"]["labels"]
    expect("labels", (labels.get("added"), "app" in labels, labels["owner"]), ("yes", False, "zoe"))
    kubectl.run("annotate", "node", "node-a", "note=x")
    expect("annotation", kubectl.get("node", "node-a")["metadata"]["annotations"]["note"], "x")
    check_status(kubectl)
    kubectl.run("delete", "netpol/applied", "segpol/applied", "cm/config", "pod/shell", "-n", "lab")
    kubectl.run("delete", "cnp", "wide")
    expect("deleted", kubectl.get("netpol,segpol,cm", "-n", "lab", "-l", "a=b")["items"], [])
    expect("deleted pod", "not found" in kubectl.run("get", "pod", "shell", "-n", "lab", status=1), True)


def check_status(kubectl):
    status = {"observedGeneration": 2, "conditions": [{"type": "Accepted", "status": "True"}]}
    if kubectl.has_subresources():
        kubectl.run("patch", "segpol", "applied", "-n", "lab", "--type=merge", "--subresource=status", "-p",
                    json.dumps({"status": status}))
    else:  # older than 1.24
        whole = kubectl.get("segpol", "applied", "-n", "lab") | {"status": status}
        kubectl.run("replace", "--raw", "/apis/podfence.io/v1alpha1/namespaces/lab/segmentpolicies/applied/status", "-f", "-",
                    text=json.dumps(whole))
    policy = kubectl.get("segpol", "applied", "-n", "lab")
    expect("status", (policy["status"], policy["spec"], policy["metadata"]["generation"]), (status, {"mode": "Enforce"}, 2))


def check_refusals(kubectl):
    kubectl.server.control("POST", "/rights", {"refuse": [{"verb": "list", "group": "", "resource": "pods"}]})
    expect("403", 'cannot list resource "pods"' in kubectl.run("get", "pods", status=1), True)
    kubectl.server.control("POST", "/rights", {"refuse": []})
    kubectl.server.control("POST", "/resources", {"group": "podfence.io", "plural": "segmentpolicies", "installed": False})
    shutil.rmtree(os.path.join(kubectl.home, ".kube"))
    expect("a kind that is not installed", "the server doesn't have a resource type" in
           kubectl.run("get", "segmentpolicies", status=1), True)


if not os.path.isdir(FIXTURES):
    skip("no ../shared/fixtures/kubernetes")
programs = [path for path in (shutil.which(DEBIANS), shutil.which("kubectl")) if path]
if not programs:
    skip("no kubectl: run scripts/deps.sh")
for path in programs:
    with ApiServer() as api_server:
        for check in (check_reading, check_watching, check_writing, check_refusals):
            check(Kubectl(path, api_server))
        Kubectl(path, api_server, "kubeconfig-cert").run("get", "nodes")
    print(f"{path}: reads, watches and writes")
finish("kubectl with test-apiserver")
