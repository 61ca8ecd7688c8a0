"""A host of which plans are made, whose files the roles' tasks would change."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from typing import Any

from kaudit_core.provisioning import manifest, record
from kaudit_core.provisioning.files import Content, kept_name
from kaudit_core.provisioning.host import Host, read_host
from kaudit_core.provisioning.plan import Making, Plan, plan_back, plan_disable, plan_enable
from kaudit_core.provisioning.record import DEPLOYMENT_ANNOTATION
from kaudit_core.provisioning.settings import POLICY_ANNOTATION, Settings
from tests.provisioning.manifests import kubeadm

ORIGINAL = kubeadm(35)
MANIFEST, STATE, POLICY = "/etc/kubernetes/manifests/kube-apiserver.yaml", "/var/lib/kaudit", "/srv/policy/p.yaml"
PATHS = {"manifest": MANIFEST, "policy": POLICY, "state": STATE}
LEGACY_FILES = ("original.yaml", "original-policy.yaml")
STATE_FILES = (
    *("deployments.json", "pending.json", "restored", "originals.json", "kubeadm-config.original.yaml"),
    *LEGACY_FILES,
)
ORIGINAL_MANIFEST = f"originals/{kept_name(MANIFEST)}"
SETTINGS = Settings(POLICY, "/srv/log/audit.log", 30, 10, 100)
BATCH = Settings(POLICY, "/srv/log/audit.log", 30, 10, 100, {"audit-log-mode": "batch"})
STARTED = "2026-11-21T04:30:00Z"
HOOK = "/srv/hook/kubeconfig"


def sha256(text: str) -> str:
    """As it stands in records."""
    return hashlib.sha256(text.encode()).hexdigest()


class Master:
    """A host whose files the roles' tasks would change, in the roles' order; killed wherever a test stops."""

    def __init__(self, text: str = ORIGINAL) -> None:
        self.files = {MANIFEST: text}
        self.count = 0

    def host(self) -> Host:
        """What the roles read of it: the state, and whatever else is there."""
        asked = dict.fromkeys([MANIFEST, POLICY, *map(state, STATE_FILES), *self.files])
        results = [slurped(path, self.files.get(path)) for path in asked]
        return read_host(PATHS, results, [slurped(MANIFEST, self.files[MANIFEST])], [{"pid": 7, "started": STARTED}])

    def making(self) -> Making:
        """A name for each plan."""
        self.count += 1
        return Making(f"D{self.count}", STARTED, "v1.35.4")

    def plan(self, policy: str = "A", settings: Settings = SETTINGS, hook: str = "") -> Plan:
        """A plan of the next enable.yml; hook: the content of a file that the server reads beside its policy."""
        more = [Content(HOOK, sha256(hook), f"contents/{sha256(hook)}", "kaudit.k8s/hook", secret=True)] if hook else []
        return plan_enable(self.host(), settings, sha256(policy), self.making(), more)

    def plan_off(self) -> Plan:
        """A plan of the next disable.yml."""
        return plan_disable(self.host(), self.making())

    def plan_back(self, at: str = "") -> Plan:
        """A plan of the next rollback.yml."""
        host = self.host()
        entry = record.to_go_back_to(host.entries, at)
        assert entry is not None
        return plan_back(host, entry, self.making())

    def prepare(self, plan: Plan) -> None:
        """Up to the armed timer."""
        backup = state(f"backups/{plan.way.backup}")
        for each in plan.way.missing:
            if each["name"]:
                self.files[f"{backup}/{each['name']}"] = self.files[each["path"]]
        for each in plan.keep_originals:
            self.files[state(each["to"])] = self.files[f"{backup}/{each['name']}"]
        self.files[state("originals.json")] = json.dumps({"files": plan.originals})
        before, since = plan.pending["before"] or [self.count], plan.pending["from"] or f"from {plan.deployment}"
        pending = {**plan.pending, "before": before, "from": since}
        self.files[state("pending.json")] = json.dumps(pending)
        self.files.pop(state("restored"), None)

    def write(self, plan: Plan, policy: str = "A", hook: str = "") -> None:
        """Every file, in the plan's order."""
        self.prepare(plan)
        given = {sha256(text): text for text in (policy, hook)}
        for change in plan.files:
            now = self.files.pop(change.path, None)
            assert change.before_sha256 == ("" if now is None else sha256(now))
            if change.sha256:
                text = self.files[change.source] if change.source else change.text
                self.files[change.path] = given[change.sha256] if text is None else text
                assert change.sha256 == sha256(self.files[change.path])

    def finish(self, plan: Plan, outcome: str = record.DEPLOYED, **more: str) -> None:
        """The record, with nothing left of the way."""
        for change in plan.files:
            if change.keep and outcome == record.DEPLOYED:
                self.files[state(change.keep)] = self.files[change.path]
        entries = [*plan.entries, record.pending_entry(plan.pending, outcome, STARTED, **more)]
        self.files[state("deployments.json")] = json.dumps(entries)
        self.files.pop(state("pending.json"), None)
        self.files.pop(state("restored"), None)

    def restore(self) -> None:
        """What the timer runs."""
        pending = json.loads(self.files[state("pending.json")])
        for each in pending["backups"]:
            self.files.pop(each["path"], None)
            if each["name"]:
                self.files[each["path"]] = self.files[state(f"backups/{pending['backup']}/{each['name']}")]
        self.files[state("restored")] = STARTED

    def deploy(self, policy: str = "A", settings: Settings = SETTINGS, hook: str = "") -> Plan:
        """A whole enable.yml."""
        plan = self.plan(policy, settings, hook)
        self.write(plan, policy, hook)
        self.finish(plan, since=STARTED)
        return plan

    def after(self, plan: Plan) -> str:
        """The manifest that a plan leaves here."""
        made = {change.path: change.text for change in plan.files}.get(MANIFEST)
        return self.files[MANIFEST] if made is None else made


def state(name: str) -> str:
    """A file of ours."""
    return f"{STATE}/{name}"


def slurped(path: str, text: str | None) -> dict[str, Any]:
    """One result of the loop that reads files."""
    return {"item": path, "content": b64encode(text.encode()).decode()} if text is not None else {"item": path}


def named_by(text: str) -> tuple[str | None, str | None]:
    """Policy and deployment as the manifest names them."""
    found = manifest.inspect(text).annotations
    return found.get(POLICY_ANNOTATION), found.get(DEPLOYMENT_ANNOTATION)
