#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The alerts by promtool: they are valid, each fires and does not fire (alerts.test.yaml), and the PrometheusRule
has the same ones. That their metrics are there is e2e.metrics' business."""
import pathlib
import shutil
import subprocess
import sys

import yaml

HERE = pathlib.Path(__file__).resolve().parent
RULES = HERE.parents[1] / "conf/prometheus"


def main():
    if not shutil.which("promtool"):
        print("no promtool: run scripts/deps.sh")
        sys.exit(77)
    failed = False
    for command in (["check", "rules", RULES / "alerts.yaml"], ["test", "rules", HERE / "alerts.test.yaml"]):
        run = subprocess.run(["promtool", *command], capture_output=True, text=True, check=False)
        if run.returncode:
            failed = True
            print(run.stdout, run.stderr)
    groups = yaml.safe_load((RULES / "alerts.yaml").read_text())["groups"]
    rule = yaml.safe_load((RULES / "prometheusrule.yaml").read_text())
    if (rule["kind"], rule["spec"]["groups"]) != ("PrometheusRule", groups):
        failed = True
        print("prometheusrule.yaml has other alerts than alerts.yaml")
    tested = (HERE / "alerts.test.yaml").read_text()
    for alert in (item["alert"] for group in groups for item in group["rules"]):
        for case in ("fires", "does not"):
            if f"name: {alert} {case}\n" not in tested:
                failed = True
                print(f"{alert}: there is no test that it {case}")
    sys.exit(failed)


main()
