"""Deployments on a host of k3s or RKE2: found, planned, resumed, restored and taken away as on any other."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from typing import Any

import pytest

from kaudit_core.provisioning import on_host, record
from kaudit_core.provisioning.access import api_access
from kaudit_core.provisioning.files import kept_name
from kaudit_core.provisioning.intent import AuditIntent
from kaudit_core.provisioning.k3s import found
from kaudit_core.provisioning.k3s.starting import read_start
from kaudit_core.provisioning.observed import HostFiles, HostRefused
from kaudit_core.provisioning.refusal import EditRefused
from tests.provisioning.units import CONFIG, DROP_IN, INSTALLED, PACKAGED_RKE2, UNIT

STATE = "/var/lib/kaudit"
NOW, LATER = "2026-11-21T04:30:00Z", "2026-11-21T05:30:00Z"
SHOWN = f"FragmentPath={UNIT}\nDropInPaths=\nMainPID=7\nNRestarts=0\nActiveState=active\nResult=success\n"
IN_EXEC_START = INSTALLED.replace("server \\\n", "server \\\n    '--kube-apiserver-arg=v=2' \\\n")
NO_OTHERS: dict[str, Any] = {"results": []}
NOTES = ("originals.json", "kubeadm-config.original.yaml", "deployments.json", "pending.json", "restored")
STUB = "/etc/rancher/rke2/audit-policy.yaml"
SILENT = "apiVersion: audit.k8s.io/v1\nkind: Policy\nmetadata: {}\nrules: [{level: None}]\n"


class Master:
    """A host of k3s whose files the roles' tasks would change."""

    def __init__(self, unit: str = INSTALLED, shown: str = SHOWN, **files: str) -> None:
        self.path = shown.partition("=")[2].partition("\n")[0]
        self.shown, self.pid, self.policy = shown, 7, ""
        self.files = {self.path: unit, "/etc/hosts": "127.0.0.1 localhost\n", **files}

    def start(self) -> dict[str, Any]:
        """What find_start finds."""
        name = self.path.rpartition("/")[2]
        search = found.begin(*found.search("", "", f"{name} enabled\nk3s-agent.service x\n", ""), self.shown)
        self.read(search, search.unit_files)
        self.read(search, search.environment())
        names = "\n".join(path for path in self.files if path.startswith(f"{search.config()}.d/"))
        self.read(search, search.found(found.configuration_names(names)))
        return search.start()

    def read(self, search: found.Search, paths: Any) -> None:
        """Read files into the search."""
        search.texts.update({path: self.files.get(path) for path in paths})

    def asked(self) -> tuple[dict[str, Any], dict[str, str], dict[str, Any]]:
        """What the roles know before they plan: files, paths, variables."""
        start = self.start()
        policy = start["policy_path"]
        paths = {"manifest": "/etc/kubernetes/manifests/kube-apiserver.yaml", "policy": policy, "state": STATE}
        wanted = dict.fromkeys([policy, *self.files, *(f"{STATE}/{name}" for name in NOTES)])
        files = {"start": start, "results": [slurped(path, self.files.get(path)) for path in wanted]}
        variables = {"policy_path": policy, "log_path": "/var/log/kubernetes/audit/audit.log"}
        return files, paths, {**variables, "log_max_age": 30, "log_max_backup": 10, "log_max_size": 100}

    def servers(self) -> dict[str, Any]:
        """What runs."""
        return {"processes": [{"pid": self.pid, "started": NOW, "audit_flags": {}}]}

    def plan(self, policy: str = "A", now: str = NOW, version: str = "v1.35.4+k3s1", **changes: Any) -> dict[str, Any]:
        """A plan of the next enable.yml; changes: of its variables."""
        files, paths, variables = self.asked()
        variables |= changes
        self.policy = policy
        sha256 = hashlib.sha256(policy.encode()).hexdigest()
        return on_host.enable_plan(files, NO_OTHERS, self.servers(), paths, variables, sha256, now, version)

    def plan_off(self, now: str = LATER) -> dict[str, Any]:
        """A plan of the next disable.yml."""
        files, paths, _ = self.asked()
        return on_host.disable_plan(files, NO_OTHERS, self.servers(), paths, now, "v1.35.4")

    def write(self, plan: dict[str, Any]) -> None:
        """Backup and files."""
        for each in plan["way"]["missing"]:
            if each["name"]:
                self.files[f"{STATE}/backups/{plan['way']['backup']}/{each['name']}"] = self.files[each["path"]]
        for each in plan["keep_originals"]:
            self.files[f"{STATE}/{each['to']}"] = self.files[f"{STATE}/backups/{plan['way']['backup']}/{each['name']}"]
        self.files[f"{STATE}/originals.json"] = json.dumps({"files": plan["originals"]})
        pending = {**plan["pending"], "before": plan["pending"]["before"] or [self.pid], "from": NOW}
        self.files[f"{STATE}/pending.json"] = json.dumps(pending)
        for change in plan["files"]:
            self.files.pop(change["path"], None)
            if change["sha256"]:
                self.files[change["path"]] = change["text"] or self.policy

    def finish(self, plan: dict[str, Any], outcome: str = record.DEPLOYED) -> None:
        """The record."""
        entries = on_host.recorded(plan, outcome, plan["pending"]["started"], {"since": NOW})
        self.files[f"{STATE}/deployments.json"] = json.dumps(entries)
        del self.files[f"{STATE}/pending.json"]


def slurped(path: str, text: str | None) -> dict[str, Any]:
    """One result of read_files."""
    return {"item": path, "content": b64encode(text.encode()).decode()} if text is not None else {"item": path}


CONFIGURED = {CONFIG: "node-ip: 192.0.2.9,fd00::9\nkube-apiserver-arg:\n  - audit-log-maxage=7 # ours\n  - v=1\n"}
hosts = {
    "drop-in": (INSTALLED, {}, DROP_IN, "/etc/rancher/k3s/audit/policy.yaml"),
    "beside-flags-of-others": (INSTALLED, CONFIGURED, DROP_IN, "/etc/rancher/k3s/audit/policy.yaml"),
    "exec-start": (IN_EXEC_START, {}, UNIT, "/etc/k3s/audit-policy.yaml"),
}


def configuration(master: Master) -> dict[str, str]:
    """The files of a host that aren't kaudit's notes."""
    return {path: text for path, text in master.files.items() if not path.startswith(STATE)}


@pytest.mark.parametrize(("unit", "files", "start", "policy"), hosts.values(), ids=hosts)
def test_enabled_and_disabled(unit: str, files: dict[str, str], start: str, policy: str) -> None:
    """Policy first, then one place for the flags; a second run changes nothing, disabling gives all bytes back."""
    master = Master(unit, **files)
    before = configuration(master)
    plan = master.plan()
    master.write(plan)
    master.finish(plan)

    assert (True, policy, start) == (plan["changed"], plan["files"][0]["path"], plan["files"][-1]["path"])
    assert (policy, "30") == (plan["audit_flags"]["audit-policy-file"], plan["audit_flags"]["audit-log-maxage"])
    assert not master.plan(now=LATER)["changed"]
    assert "the policy on the host is another one" in master.plan("B", LATER)["reasons"]
    off = master.plan_off()
    master.write(off)
    assert (True, [policy]) == (off["changed"], off["leftovers"])
    assert before == {path: text for path, text in configuration(master).items() if path != policy}


@pytest.mark.parametrize("unit", [INSTALLED, IN_EXEC_START], ids=["drop-in", "exec-start"])
def test_edited_since(unit: str) -> None:
    """Exactly ours goes."""
    master = Master(unit, **CONFIGURED) if unit == INSTALLED else Master(unit)
    plan = master.plan()
    master.write(plan)
    master.finish(plan)
    path = CONFIG if unit == INSTALLED else UNIT
    master.files[path] = "# mine\n" + master.files[path]
    left = CONFIGURED[CONFIG].replace("  - audit-log-maxage=7 # ours\n", "") if unit == INSTALLED else unit
    master.write(master.plan_off())

    assert f"# mine\n{left}" == master.files[path]
    assert DROP_IN not in master.files


@pytest.mark.parametrize("unit", [INSTALLED, IN_EXEC_START], ids=["drop-in", "exec-start"])
@pytest.mark.parametrize("restarted", [False, True])
def test_killed_after_the_write_is_finished(unit: str, restarted: bool) -> None:
    """The same deployment; the service is told to start anew unless it already was."""
    master = Master(unit)
    first = master.plan()
    master.write(first)
    master.pid = 8 if restarted else 7
    plan = master.plan(now=LATER)

    assert (["deployment 20261121T043000Z was never finished"], True) == (plan["reasons"], plan["resume"])
    assert (first["deployment"], not restarted, []) == (plan["deployment"], plan["restart"], plan["way"]["missing"])
    assert (True, True) == (first["restart"], master.plan("B", LATER)["restart"])


def test_a_drop_in_that_was_not_there_goes_on_the_way_back() -> None:
    """And the flags that were taken out of somebody's file come back with it."""
    plan = Master(**CONFIGURED).plan()
    back = [(each["path"], bool(each["name"]), each["starts"]) for each in plan["way"]["files"]]

    assert [("/etc/rancher/k3s/audit/policy.yaml", False, False), (CONFIG, True, True), (DROP_IN, False, True)] == back
    assert {CONFIG: f"originals/{kept_name(CONFIG)}", DROP_IN: ""}.items() <= plan["originals"].items()


def test_old_servers_are_refused() -> None:
    """They may not read drop-ins."""
    with pytest.raises((HostRefused, ValueError), match="k3s v1.21.4.k3s1 is older than 1.22"):
        Master().plan(version="v1.21.4+k3s1")


nothing_here: dict[str, dict[str, Any]] = {
    "aliyun_logs": {"aliyun_logs": "c0123456789abcdef0123456789abcdef"},
    "extra_mounts": {"extra_mounts": [{"name": "x", "host_path": "/srv/x", "container_path": "/x"}]},
}


@pytest.mark.parametrize("name", nothing_here)
def test_settings_that_would_do_nothing_are_refused(name: str) -> None:
    """There is no container whose environment or directories could be set."""
    with pytest.raises(ValueError, match=f"apiserver_audit_{name}: k3s starts the API server itself, wh"):
        Master().plan(**nothing_here[name])


RKE2_UNIT = "/usr/local/lib/systemd/system/rke2-server.service"


def rke2() -> Master:
    """A host of RKE2 with the CIS profile."""
    master = Master(PACKAGED_RKE2, SHOWN.replace(UNIT, RKE2_UNIT))
    master.files |= {"/etc/rancher/rke2/config.yaml": "profile: cis\n", STUB: SILENT}
    return master


def test_rke2s_silent_policy_is_recognised_and_replaced() -> None:
    """Auditing looked as if it were on (pitfall P28)."""
    master = rke2()
    plan = master.plan()
    master.write(plan)

    assert [f"{STUB}: auditing is on but logs nothing, every rule has level None"] == plan["notes"]
    drop_in = master.files["/etc/rancher/rke2/config.yaml.d/99-kaudit.yaml"]
    assert 'audit-policy-file: "/etc/rancher/rke2/audit/policy.yaml"' in drop_in
    assert SILENT == master.files[STUB]


def test_rke2s_silence_is_drift() -> None:
    """status.yml says that nothing is logged."""
    files, paths, _ = rke2().asked()
    look = {"ready": True, "log_bytes": 1}
    status = on_host.status("m1", files, NO_OTHERS, {"processes": []}, paths, look, None)

    assert ("off", [f"{STUB}: auditing is on but logs nothing, every rule has level None"]) == (
        status["auditing"],
        status["drift"],
    )


accesses = {
    "as-installed": (INSTALLED, {}, "https://127.0.0.1:6443", True),
    "configured": (INSTALLED, CONFIGURED, "https://192.0.2.9:6443", False),
    "exec-start": (
        INSTALLED.replace("server \\\n", "server \\\n  --node-ip fd00::1 --https-listen-port=7443 \\\n"),
        CONFIGURED,
        "https://[fd00::1]:7443",
        False,
    ),
}


@pytest.mark.parametrize(("unit", "files", "url", "loopback"), accesses.values(), ids=accesses)
def test_the_api_server_is_found(unit: str, files: dict[str, str], url: str, loopback: bool) -> None:
    """By its settings, with the administrator's certificate that k3s makes; other masters can't use 127.0.0.1."""
    found_files, paths, _ = Master(unit, **files).asked()
    access = api_access(found_files, paths, {})

    tls = "/var/lib/rancher/k3s/server/tls"
    assert (url, loopback) == (access["url"], access["loopback"])
    assert f"{tls}/server-ca.crt {tls}/client-admin.crt {tls}/client-admin.key" == (
        f"{access['ca']} {access['certificate']} {access['key']}"
    )


def test_the_administrators_certificate_is_in_the_servers_directory() -> None:
    """Wherever that is."""
    found_files, paths, _ = Master(**{CONFIG: "data-dir: /srv/k3s/\n"}).asked()

    assert "/srv/k3s/server/tls/client-admin.key" == api_access(found_files, paths, {})["key"]


def test_a_lost_journal_is_no_other_flag() -> None:
    """A server that runs for years doesn't say any more what it was started with."""
    master = Master()
    plan = master.plan()
    master.write(plan)
    master.finish(plan)
    files, paths, _ = master.asked()
    servers = {"processes": [{"pid": 7, "started": NOW, "audit_flags": None}]}
    look = {"ready": True, "log_bytes": 1}
    status = on_host.status("m1", files, NO_OTHERS, servers, paths, look, None)

    assert ["the journal no longer says with which flags the API server runs"] == status["drift"]


@pytest.mark.parametrize(
    ("distribution", "unit", "listed", "scripts", "message"),
    [
        ("", "", "", "k3s\nssh\n", "/etc/init.d/k3s: this is an OpenRC service, and only systemd is supported"),
        ("", "", "k3s-a.service x\nk3s-b.service x\n", "", "several servers are set up here"),
        ("rke2", "", "k3s.service enabled\n", "", "no service of a rke2 server is set up here"),
        ("", "k3s-c", "k3s-a.service x\n", "", "no service of a k3s or rke2 server is set up here"),
    ],
)
def test_no_server_is_found(distribution: str, unit: str, listed: str, scripts: str, message: str) -> None:
    """One sentence."""
    with pytest.raises(EditRefused, match=message):
        found.search(distribution, unit, listed, scripts)


def test_a_named_unit_is_taken() -> None:
    """Where there are several."""
    assert "k3s-b.service" == found.search("", "k3s-b", "k3s-a.service x\nk3s-b.service x\n", "")[1]


def test_names_stand_in_etc_hosts() -> None:
    """As one file of the deployment; each of a name's addresses has a line, and they go again."""
    master = Master()
    files, paths, _ = master.asked()
    server = read_start(files["start"], HostFiles(files["results"]))
    intent = AuditIntent({"audit-log-path": "/l"}, host_aliases={"192.0.2.7": ("hook",), "fd00::7": ("hook",)})
    edits = server.apply(intent, None)
    after = server.changed(edits)

    assert "192.0.2.7 hook # kaudit: webhook receiver\nfd00::7 hook # kaudit" in str(edits["/etc/hosts"])
    assert {} == after.apply(intent, intent)
    assert master.files["/etc/hosts"] == after.remove(intent)["/etc/hosts"]
