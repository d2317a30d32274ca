#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Speak CRI with a container runtime, as kubelet does; Debian's grpcio, so Debian's python.

  wait               until the runtime and its network are ready; prints its name and version
  run                sandboxes from standard input, one JSON object a line: pod (NAMESPACE/NAME),
                     uid, labels, annotations, hostPort (to 8080); all at the same time
  stop|remove ID...  all at the same time
  list               what there is
  network            the chain that a sandbox would get, [NAME, MTU, "TYPE TYPE..."]; null without one
  image TAR REF CMD FILE...   no CRI: an OCI image that runs CMD by its own /bin/sh

Prints a JSON object a sandbox; exit status 1 when any call failed.
"""
import argparse
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import grpc

CALL_SECONDS = 90
PARALLEL = 64


def load_messages():
    """The module that protoc makes of cri.proto, from a folder that goes again."""
    here = os.path.dirname(os.path.abspath(__file__))
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["protoc", f"--proto_path={here}", f"--python_out={folder}", "cri.proto"],
                       check=True)
        sys.path.insert(0, folder)
        sys.dont_write_bytecode = True
        return __import__("cri_pb2")


class Runtime:
    def __init__(self, socket):
        self.messages = load_messages()
        self.channel = grpc.insecure_channel(f"unix://{socket}")

    def call(self, method, timeout=CALL_SECONDS, **fields):
        request = getattr(self.messages, f"{method}Request")(**fields)
        answer = getattr(self.messages, f"{method}Response")
        stub = self.channel.unary_unary(f"/runtime.v1.RuntimeService/{method}",
                                        request_serializer=type(request).SerializeToString,
                                        response_deserializer=answer.FromString)
        return stub(request, timeout=timeout)

    def is_ready(self):
        status = self.call("Status", timeout=5).status
        return {c.type for c in status.conditions if c.status} >= {"RuntimeReady", "NetworkReady"}

    def wait(self, seconds):
        end = time.monotonic() + seconds
        while True:
            try:
                if self.is_ready():
                    version = self.call("Version", timeout=5)
                    return {"name": version.runtime_name, "version": version.runtime_version}
                why = "not ready"
            except grpc.RpcError as error:
                why = error.details()
            if time.monotonic() > end:
                raise SystemExit(f"cri.py: the runtime is not ready after {seconds} s: {why}")
            time.sleep(0.05)

    def run(self, pod):
        namespace, name = pod["pod"].split("/", 1)
        ports = [{"container_port": 8080, "host_port": pod["hostPort"]}] if pod.get("hostPort") else []
        config = {"metadata": {"name": name, "namespace": namespace, "uid": pod["uid"]},
                  "hostname": name, "port_mappings": ports, "labels": pod.get("labels", {}),
                  "annotations": pod.get("annotations", {})}
        before = time.monotonic()
        sandbox = self.call("RunPodSandbox", config=config).pod_sandbox_id
        took = round((time.monotonic() - before) * 1e3)
        return {"pod": pod["pod"], "id": sandbox, "ms": took} | self.status(sandbox)

    def status(self, sandbox):
        answer = self.call("PodSandboxStatus", pod_sandbox_id=sandbox, verbose=True)
        network = answer.status.network
        info = json.loads(answer.info["info"])
        spaces = info["runtimeSpec"]["linux"]["namespaces"]
        return {"ips": [network.ip] + [other.ip for other in network.additional_ips],
                "pid": info["pid"],
                "netns": next(s["path"] for s in spaces if s["type"] == "network"),
                "ready": answer.status.state == self.messages.SANDBOX_READY}

    def end(self, method, sandbox):
        self.call(method, pod_sandbox_id=sandbox)
        return {"id": sandbox}

    def list(self):
        return [{"id": item.id, "pod": f"{item.metadata.namespace}/{item.metadata.name}",
                 "ready": item.state == self.messages.SANDBOX_READY}
                for item in self.call("ListPodSandbox").items]

    def network(self):
        """What containerd has loaded; that of loopback is left out."""
        info = json.loads(self.call("Status", verbose=True).info["cniconfig"])
        for network in info["Networks"] or []:
            conf = json.loads(network["Config"]["Source"])
            if conf["name"] != "cni-loopback":
                return [conf["name"], conf["plugins"][0].get("mtu"),
                        " ".join(plugin["type"] for plugin in conf["plugins"])]
        return None


def all_at_once(call, items):
    """One line each, what failed too; whether all went well."""
    fine = True
    with ThreadPoolExecutor(PARALLEL) as pool:
        for item, future in [(item, pool.submit(call, item)) for item in items]:
            try:
                print(json.dumps(future.result()))
            except grpc.RpcError as error:
                fine = False
                print(json.dumps({"failed": item, "error": error.details()}))
    return fine


# ---- the image -----------------------------------------------------------------------------------

class Image:
    """An OCI image layout in a tar file, of one layer."""

    def __init__(self, path):
        self.tar = tarfile.open(path, "w")

    def put(self, name, data):
        entry = tarfile.TarInfo(name)
        entry.size = len(data)
        self.tar.addfile(entry, io.BytesIO(data))

    def blob(self, data, kind):
        digest = hashlib.sha256(data).hexdigest()
        self.put(f"blobs/sha256/{digest}", data)
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}",
                "size": len(data)}

    @staticmethod
    def layer(files):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as layer:
            for file in files:
                layer.add(file, arcname=f"bin/{os.path.basename(file)}")
            link = tarfile.TarInfo("bin/sh")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            layer.addfile(link)
        return buffer.getvalue()

    def write(self, reference, command, files):
        layer = self.blob(self.layer(files), "layer.v1.tar")
        config = {"architecture": os.uname().machine.replace("x86_64", "amd64").replace("aarch64", "arm64"),
                  "os": "linux", "config": {"Entrypoint": ["/bin/sh", "-c", command]},
                  "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}}
        manifest = {"schemaVersion": 2, "layers": [layer],
                    "config": self.blob(json.dumps(config).encode(), "config.v1+json")}
        entry = self.blob(json.dumps(manifest).encode(), "manifest.v1+json")
        entry["annotations"] = {"io.containerd.image.name": reference}
        self.put("index.json", json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode())
        self.put("oci-layout", json.dumps({"imageLayoutVersion": "1.0.0"}).encode())
        self.tar.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--socket", help="of the runtime")
    parser.add_argument("verb", choices=["wait", "run", "stop", "remove", "list", "network", "image"])
    parser.add_argument("arguments", nargs="*")
    options = parser.parse_args()
    if options.verb == "image":
        tar, reference, command, *files = options.arguments
        Image(tar).write(reference, command, files)
        return 0
    runtime = Runtime(options.socket)
    if options.verb == "wait":
        print(json.dumps(runtime.wait(30)))
        return 0
    if options.verb == "list":
        for item in runtime.list():
            print(json.dumps(item))
        return 0
    if options.verb == "network":
        print(json.dumps(runtime.network(), separators=(",", ":")))
        return 0
    if options.verb == "run":
        return not all_at_once(runtime.run, [json.loads(line) for line in sys.stdin])
    method = {"stop": "StopPodSandbox", "remove": "RemovePodSandbox"}[options.verb]
    return not all_at_once(lambda sandbox: runtime.end(method, sandbox), options.arguments)


if __name__ == "__main__":
    sys.exit(main())
