# SPDX-License-Identifier: Apache-2.0
"""The whole client (watcher.c) as tests use it: started, and what it tells, as it tells it."""

import contextlib
import json
import os
import subprocess
import threading
import time

from apiserver import BUILD, failures

PODS = "v1/pods"
# as podfenced asks for them
ALL = [PODS, "v1/namespaces", "v1/nodes", "v1/services", "discovery.k8s.io/v1/endpointslices",
       "networking.k8s.io/v1/networkpolicies", "policy.networking.k8s.io/v1alpha2/clusternetworkpolicies",
       "podfence.io/v1alpha1/segmentpolicies", "podfence.io/v1alpha1/clustersegmentpolicies", "v1/configmaps"]


class Watcher(contextlib.AbstractContextManager):
    def __init__(self, kubeconfig, *kinds, silence=0):
        self.lines, self.more, self.at = [], threading.Condition(), 0
        # pylint: disable-next=consider-using-with
        self.process = subprocess.Popen([os.path.join(BUILD, "test/test-kube-watcher"), kubeconfig, str(silence), *kinds],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            with self.more:
                self.lines.append(json.loads(line))
                self.more.notify_all()

    def __exit__(self, *_):
        self.process.stdin.close()
        if self.process.wait(10) != 0:
            failures.append(f"the watcher ended with {self.process.returncode}")
        self.reader.join(10)
        self.process.stdout.close()

    def wait(self, what, condition, seconds=10):
        """The next line that it tells, from where the last wait ended, of which this is true."""
        end = time.monotonic() + seconds
        with self.more:
            while True:
                while self.at < len(self.lines):
                    self.at += 1
                    if condition(self.lines[self.at - 1]):
                        return self.lines[self.at - 1]
                if not self.more.wait(max(0, end - time.monotonic())):
                    failures.append(f"{what}: not within {seconds} s; the last was {self.lines[-1:]}")
                    return {}

    def state(self, what, seconds=10, **members):
        """The next state with these: a problem is a part of it."""
        def is_it(line):
            return line["what"] == "state" and all(
                value in line[key] if key == "problem" and value else line[key] == value for key, value in members.items())
        return self.wait(what, is_it, seconds)

    def states(self):
        """The last one of each kind."""
        with self.more:
            return {line["kind"]: line for line in self.lines if line["what"] == "state"}

    def told(self, *whats):
        with self.more:
            return [line for line in self.lines if line["what"] in whats]
