"""Writes the tables of docs/presets.md from the data of the presets.

tools/preset_docs.py            write them
tools/preset_docs.py --check    write nothing, and exit 1 if they are stale
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from kaudit_core.events.attributes import request_attributes
from kaudit_core.policy.composition import compose
from kaudit_core.policy.evaluator import Evaluator
from kaudit_core.policy.presets import NAMES, Preset, load
from kaudit_core.policy.reader import read_policy

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "presets.md"
BEGIN = "<!-- Written by tools/preset_docs.py from the data of the presets: change that, then `make docs`. -->"
END = "<!-- End of what is written. -->"
SHOP = "/api/v1/namespaces/shop"
USER = ("alice", "system:authenticated")
NODE = ("system:node:n1", "system:nodes", "system:authenticated")
ASKED = {
    "read a Secret": (USER, "GET", f"{SHOP}/secrets/s"),
    "write a ConfigMap": (USER, "PUT", f"{SHOP}/configmaps/c"),
    "issue a service account's token": (USER, "POST", f"{SHOP}/serviceaccounts/a/token"),
    "bind a cluster role": (USER, "POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"),
    "create a pod": (USER, "POST", f"{SHOP}/pods"),
    "list pods": (USER, "GET", f"{SHOP}/pods"),
    "exec into a pod (GET, as today's kubectl)": (USER, "GET", f"{SHOP}/pods/p/exec?command=sh"),
    "create a custom resource": (USER, "POST", "/apis/example.org/v1/namespaces/shop/things"),
    "write an Event, as a node": (NODE, "POST", f"{SHOP}/events"),
    "delete Events": (USER, "DELETE", f"{SHOP}/events"),
    "a node's heartbeat": (NODE, "PUT", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n1"),
    "/livez, anonymous": (("system:anonymous", "system:unauthenticated"), "GET", "/livez"),
    "/apis (discovery)": (USER, "GET", "/apis"),
}


def levels() -> list[str]:
    """A table: who asks for what, and at which level each preset logs it."""
    policies = {name: read_policy(compose({"preset": name}).text.encode(), name).policy for name in NAMES}
    evaluators = {name: Evaluator(policy) for name, policy in policies.items() if policy is not None}
    rows = ["| request | " + " | ".join(NAMES) + " |", "|---" * (len(NAMES) + 1) + "|"]
    for what, ((user, *groups), method, uri) in ASKED.items():
        asked = request_attributes(method, uri, user, tuple(groups))
        found = [evaluator.evaluate(asked).level for evaluator in evaluators.values()]
        rows.append(f"| {what} | " + " | ".join(found) + " |")
    return rows


def section(preset: Preset) -> list[str]:
    """A preset in words."""
    spots = [f"- {spot}" for spot in preset.blind_spots]
    return [f"### {preset.name}", "", preset.purpose, "", f"Cost: {preset.cost}", "", "It can't see:", "", *spots, ""]


def written() -> str:
    """What stands between the marks."""
    lines = [BEGIN, "", *levels(), ""]
    for name in NAMES:
        lines += section(load(name))
    return "\n".join([*lines, END])


def main() -> int:
    """Write or check the document."""
    parser = argparse.ArgumentParser(description="docs/presets.md, from the data of the presets")
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 if it is stale")
    options = parser.parse_args()
    text = DOCUMENT.read_text()
    head, rest = text.split(BEGIN)
    fresh = head + written() + rest.split(END)[1]
    if fresh == text:
        return 0
    if not options.check:
        DOCUMENT.write_text(fresh)
    print("docs/presets.md: stale; run `make docs`" if options.check else "docs/presets.md: written", file=sys.stderr)
    return 1 if options.check else 0


if __name__ == "__main__":
    sys.exit(main())
