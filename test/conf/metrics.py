#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""metrics.py TEXT: every metric and label that the dashboard and the alerts name is in this text of /metrics."""
import json
import pathlib
import re
import sys

import yaml

CONF = pathlib.Path(__file__).resolve().parents[2] / "conf"
NAME = re.compile(r"\b(?:podfence|process)_[a-z_]+")


def exposed(text):
    """Label sets by name of sample."""
    found = {}
    for line in text.splitlines():
        match = re.fullmatch(r"([a-z_]+)(?:\{(.*)\})? \S+", line)
        if match:
            labels = dict(re.findall(r'(\w+)="([^"]*)"', match[2] or ""))
            found.setdefault(match[1], []).append(labels)
    return found


def expressions():
    dashboard = json.loads((CONF / "grafana/podfence.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield f"panel {panel['title']}", target["expr"], target["legendFormat"]
    for group in yaml.safe_load((CONF / "prometheus/alerts.yaml").read_text())["groups"]:
        for rule in group["rules"]:
            for key in ("summary", "description", "runbook"):
                assert rule["annotations"].get(key), f"{rule['alert']}: no {key}"
            yield f"alert {rule['alert']}", rule["expr"], json.dumps(rule["annotations"])


def problems(found):
    scraped = {"instance", "job", "le"}  # Prometheus' own; le is a histogram's
    for where, expr, text in expressions():
        names = set(NAME.findall(expr))
        if not names and "up{" not in expr:
            yield f"{where}: no metric"
        for name in names - set(found):
            yield f"{where}: {name} is not exposed"
        for name, selector in re.findall(r"((?:podfence|process)_[a-z_]+)\{([^}]*)\}", expr):
            for label, operator, value in re.findall(r'(\w+)(=~|=)"([^"]*)"', selector):
                if label in scraped:
                    continue
                values = [labels.get(label) for labels in found.get(name, [])]
                if not any(v is not None and (v == value or operator == "=~" and re.fullmatch(value, v)) for v in values):
                    yield f"{where}: {name} has no {label}{operator}{value}"
        known = scraped | {label for name in names for labels in found.get(name, []) for label in labels}
        by = {label.strip() for group in re.findall(r"by \(([^)]*)\)", expr) for label in group.split(",")}
        shown = set(re.findall(r"\{\{ *(?:\$labels\.)?([a-z]+) *\}\}", text)) - {"value"}
        for label in (by | shown) - known:
            yield f"{where}: no label {label}"


def main():
    found = exposed(pathlib.Path(sys.argv[1]).read_text())
    wrong = list(problems(found))
    print("\n".join(wrong))
    sys.exit(bool(wrong) or not found)


main()
