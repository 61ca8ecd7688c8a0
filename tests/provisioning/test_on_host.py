"""What the roles ask of kaudit_core, in plain values."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from kaudit_core.policy.versions import DEFAULT, NEWEST
from kaudit_core.provisioning import kubeadm_config as configuration
from kaudit_core.provisioning import on_host, record
from kaudit_core.provisioning.access import api_access
from kaudit_core.provisioning.intent import AuditIntent, Mount
from kaudit_core.provisioning.observed import HostRefused
from tests.provisioning.manifests import BARE, CONFIGURATIONS, INTENT, V1BETA4, kubeadm

MANIFEST, STATE = "/etc/kubernetes/manifests/kube-apiserver.yaml", "/var/lib/kaudit"
PATHS = {"manifest": MANIFEST, "policy": "/srv/policy/p.yaml", "state": STATE}
VARIABLES: dict[str, Any] = {
    "policy_path": "/srv/policy/p.yaml",
    "log_path": "/srv/log/audit.log",
    "log_max_age": 30,
    "log_max_backup": 10,
    "log_max_size": 100,
    "settle_seconds": 21,
    "ready_timeout": 180,
    "restore_after": 600,
}
NOW = "2026-11-21T04:30:00Z"


def slurped(**texts: str | None) -> dict[str, Any]:
    """What Ansible's loop of slurp returned: manifest, policy, and files of the state directory."""
    paths = {"manifest": MANIFEST, "policy": PATHS["policy"]}
    kept = ("original.yaml", "original-policy.yaml", "kubeadm-config.original.yaml")
    names = (*kept, "originals.json", "deployments.json", "restored")
    files = {
        MANIFEST: kubeadm(35),
        PATHS["policy"]: None,
        **{f"{STATE}/{name}": None for name in (*names, "pending.json")},
        **{paths.get(name, f"{STATE}/{name}.json"): text for name, text in texts.items()},
    }
    return {
        "results": [
            {"item": path, "content": b64encode(text.encode()).decode()} if text is not None else {"item": path}
            for path, text in files.items()
        ]
    }


def test_settings_give_the_directories() -> None:
    """By what they are for."""
    assert {"policy": "/srv/policy", "log": "/srv/log"} == on_host.check_settings(VARIABLES)


times: dict[str, tuple[dict[str, Any], str]] = {
    "timer-before-the-proof": ({"restore_after": 201}, "apiserver_audit_restore_after: 201 s would end a deployment"),
    "no-number": ({"restore_after": "10m"}, "apiserver_audit_restore_after: '10m' is no number of seconds"),
    "nothing": ({"ready_timeout": None}, "apiserver_audit_ready_timeout: None is no number of seconds"),
    "negative": ({"settle_seconds": -1}, "apiserver_audit_settle_seconds: -1 is no number of seconds"),
    "not-a-number": ({"restore_after": "nan"}, "apiserver_audit_restore_after: 'nan' is no number of seconds"),
    "endless": ({"restore_after": "inf"}, "apiserver_audit_restore_after: 'inf' is no number of seconds"),
}


@pytest.mark.parametrize(("change", "message"), times.values(), ids=times)
def test_times_are_refused(change: dict[str, Any], message: str) -> None:
    """By the variable's name."""
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        on_host.check_settings({**VARIABLES, **change})


def test_access_is_found_in_the_manifest() -> None:
    """Address and port of kubeadm's manifest, its certificates where it names none."""
    assert {
        "url": "https://192.0.2.11:6443",
        "ca": "/etc/kubernetes/pki/ca.crt",
        "certificate": "/etc/kubernetes/pki/apiserver-kubelet-client.crt",
        "key": "/etc/kubernetes/pki/apiserver-kubelet-client.key",
        "loopback": False,
    } == api_access(slurped(), PATHS, {})


def test_access_follows_other_flags() -> None:
    """Certificates elsewhere, another port, both forms of a flag."""
    flags = ["--client-ca-file=/pki/ca", "--kubelet-client-certificate", "/pki/c", "--kubelet_client_key=/pki/k"]
    text = BARE.replace(
        "    - --secure-port=6443", "\n".join(f"    - {flag}" for flag in ["--secure-port=8443", *flags])
    )

    access = {"url": "https://127.0.0.1:8443", "ca": "/pki/ca", "certificate": "/pki/c", "key": "/pki/k"}

    assert {**access, "loopback": True} == api_access(slurped(manifest=text), PATHS, {})


def test_flags_without_a_value_are_none() -> None:
    """The server takes its default for an empty one."""
    text = BARE.replace("--secure-port=6443", "--advertise-address=\n    - --secure-port=")

    assert "https://127.0.0.1:6443" == api_access(slurped(manifest=text), PATHS, {})["url"]


def test_access_is_overridden() -> None:
    """What the inventory says wins."""
    override = {"address": "api.example.com", "ca": "/a", "certificate": "/b", "key": "/c"}

    access = {"url": "https://api.example.com:6443", "ca": "/a", "certificate": "/b", "key": "/c"}

    assert {**access, "loopback": False} == api_access(slurped(), PATHS, override)


addresses = {
    "ipv6": ("2001:db8::11", "https://[2001:db8::11]:6443"),
    "ipv6-in-brackets": ("[2001:db8::11]", "https://[2001:db8::11]:6443"),
    "loopback": ("::1", "https://[::1]:6443"),
    "ipv4": ("192.0.2.7", "https://192.0.2.7:6443"),
}


@pytest.mark.parametrize(("address", "url"), addresses.values(), ids=addresses)
def test_address_in_a_url(address: str, url: str) -> None:
    """An IPv6 address stands in brackets, from the manifest and from the inventory."""
    text = kubeadm(35).replace("--advertise-address=192.0.2.11", f'"--advertise-address={address}"'.replace('"', ""))

    assert url == api_access(slurped(manifest=text), PATHS, {})["url"]
    assert url == api_access(slurped(), PATHS, {"address": address})["url"]


def test_access_without_a_manifest() -> None:
    """The first thing that tells k3s from kubeadm."""
    with pytest.raises(HostRefused, match=f"^{MANIFEST}: no such file"):
        api_access(slurped(manifest=None), PATHS, {})


def test_access_with_a_broken_manifest() -> None:
    """In one line, with the file's name."""
    with pytest.raises(HostRefused, match=f"^{MANIFEST}: kube-apiserver manifest, ") as caught:
        api_access(slurped(manifest="a: ["), PATHS, {})

    assert "\n" not in str(caught.value)


def answer(version: Any) -> dict[str, Any]:
    """What /version says."""
    return {"status": 200, "url": "https://m1:6443/version", "json": {"gitVersion": version}}


def pending(**changes: Any) -> str:
    """A deployment that was not finished."""
    return json.dumps({**dict.fromkeys(record.KEPT, ""), "kubernetes_version": "v1.34.1", **changes})


def test_version_of_the_running_server() -> None:
    """As it says it."""
    assert "v1.35.4" == on_host.server_version(answer("v1.35.4"), slurped(), PATHS, False)


SILENT = {"status": -1, "msg": "Connection refused", "url": "https://m1:6443/version"}


def test_version_of_a_server_that_a_deployment_broke() -> None:
    """The pending deployment has noted it, and is to be mended now."""
    assert "v1.34.1" == on_host.server_version(SILENT, slurped(pending=pending()), PATHS, False)


no_answers: dict[str, tuple[dict[str, Any], str]] = {
    "no-connection": (SILENT, r"https://m1:6443/version: .* \(Connection refused\); repair it first"),
    "status": ({"status": 401, "url": "u"}, r"u: .* \(status 401\)"),
    "no-version": ({"status": 200, "url": "u", "json": {}}, "does not answer as it should"),
    "a-list": ({"status": 200, "url": "u", "json": [1]}, "does not answer as it should"),
    "no-json": ({"status": 200, "url": "u"}, "does not answer as it should"),
}


@pytest.mark.parametrize(("said", "message"), no_answers.values(), ids=no_answers)
def test_broken_server_is_repaired_first(said: dict[str, Any], message: str) -> None:
    """Nothing is deployed to a server that doesn't serve, unless a deployment of ours is why."""
    with pytest.raises(HostRefused, match=message):
        on_host.server_version(said, slurped(), PATHS, False)


odd_versions = {
    "too-new": "v1.99.0",
    "too-old": "v1.21.14",
    "no-version": "latest",
    "hostile": "v1\x1b[31m",
    "number": 1,
}


@pytest.mark.parametrize("version", odd_versions.values(), ids=odd_versions)
def test_untested_version_needs_a_word(version: Any) -> None:
    """Refused with the variable that allows it, on one printable line."""
    with pytest.raises(ValueError, match="set apiserver_audit_allow_untested: true") as caught:
        on_host.server_version(answer(version), slurped(), PATHS, False)

    assert str(caught.value).isprintable()


def test_untested_version_is_allowed() -> None:
    """As it is, for the record."""
    assert "v1.99.0" == on_host.server_version(answer("v1.99.0"), slurped(), PATHS, True)


def test_policy_version() -> None:
    """An untested server is judged as the newest."""
    assert (DEFAULT, NEWEST) == (on_host.policy_version("v1.35.4+x"), on_host.policy_version("v1.99.0"))


def test_the_log_fits_on_its_disk() -> None:
    """What segments take already is room for them."""
    small = {**VARIABLES, "log_max_size": 2, "log_max_backup": 1}

    assert "4 MB of 5 MB on /var/log x" == on_host.disk_budget(small, "3194304 1500000 /var/log x\n")
    assert on_host.disk_budget(VARIABLES, "2000000000 0 /").startswith("1,153 MB of 2,000 MB on /")


@pytest.mark.parametrize(
    ("changes", "told", "message"),
    [
        ({"log_max_size": 1, "log_max_backup": 1}, "1000000 1097151 /", "the log may take 2 MB"),
        (
            {},
            "1000000000 100000000 /var",
            "audit.log: the log may take 1,153 MB (max_size x (max_backup + 1)), and /var has",
        ),
        ({"log_max_backup": 0}, "1000000000000 0 /", "so nothing bounds what the log takes of /"),
    ],
)
def test_a_log_that_may_fill_its_disk_is_refused(changes: dict[str, Any], told: str, message: str) -> None:
    """Before anything is changed, with the way out."""
    with pytest.raises(HostRefused) as caught:
        on_host.disk_budget({**VARIABLES, **changes}, told)

    assert message in str(caught.value)
    assert "apiserver_audit_check_disk: false" in str(caught.value)


def deployed_before() -> dict[str, Any]:
    """The files of a host on which two policies were deployed."""
    entries = []
    for policy in ("0", "1"):
        plan = on_host.enable_plan(
            slurped(), {"results": []}, {"processes": []}, PATHS, VARIABLES, policy, NOW, "v1.35.4"
        )
        entries.append(on_host.recorded(plan, record.DEPLOYED, NOW, {"since": NOW})[-1])
    return slurped(deployments=json.dumps(entries))


def test_files_that_deployments_named_are_read() -> None:
    """Those that they wrote, and those kept from before; nothing twice, nothing where nothing was deployed."""
    assert [] == on_host.named_files(slurped(), PATHS)
    entries = [
        {
            **dict.fromkeys(record.KEPT, ""),
            "outcome": "deployed",
            "files": [{"path": path} for path in (MANIFEST, "/h")],
        }
    ]
    files = slurped(deployments=json.dumps(entries), originals=json.dumps({"files": {"/h": "originals/h", "/i": ""}}))

    assert ["/h", f"{STATE}/originals/h"] == on_host.named_files(files, PATHS)


def test_earlier_deployment_names_its_policy() -> None:
    """The file on the host that keeps it; and the plan puts that policy back."""
    files = deployed_before()
    entry = on_host.earlier_deployment(files, PATHS, VARIABLES, "")
    plan = on_host.rollback_plan(files, {"results": []}, {"processes": []}, PATHS, entry, "0", NOW, "v1.35.4")

    assert ("0", f"{PATHS['state']}/policies/0.yaml") == (entry["policy_sha256"], entry["policy_file"])
    assert ("0", True) == (plan["pending"]["policy_sha256"], plan["changed"])
    with pytest.raises(HostRefused, match="policies/0.yaml: changed since it was deployed"):
        on_host.rollback_plan(files, {"results": []}, {"processes": []}, PATHS, entry, "2", NOW, "v1.35.4")


@pytest.mark.parametrize(
    ("variables", "at", "message"),
    [
        ({}, "2026-01-01T00:00:00Z", "deployments.json: at 2026-01-01T00:00:00Z no deployment of kaudit was in force"),
        ({}, "yesterday", "apiserver_audit_back_to: 'yesterday' is no time; write one like 2026-11-21T04:30:00Z"),
        ({"log_path": "/srv/log/a.log"}, "", "apiserver_audit_log_path: deployment 20261121T043000Z had "),
        ({"policy_path": "/srv/policy/a.yaml"}, "", "audit_policy_path: deployment 20261121T043000Z had "),
    ],
)
def test_no_way_back(variables: dict[str, Any], at: str, message: str) -> None:
    """What to do instead is said."""
    with pytest.raises((ValueError, HostRefused)) as caught:
        on_host.earlier_deployment(deployed_before(), PATHS, {**VARIABLES, **variables}, at)

    assert str(caught.value).startswith((message, f"{PATHS['state']}/{message}"))


def test_no_way_back_without_a_record() -> None:
    """A master that was never enabled, or only once."""
    with pytest.raises(HostRefused, match="there is no other deployment to go back to"):
        on_host.earlier_deployment(slurped(), PATHS, VARIABLES, "")


def test_enable_plan_is_json() -> None:
    """Named by the time it was made."""
    plan = on_host.enable_plan(slurped(), {"results": []}, {"processes": []}, PATHS, VARIABLES, "0123", NOW, "v1.35.4")

    assert (True, "20261121T043000Z") == (plan["changed"], plan["deployment"])
    assert plan["pending"]["id"] == json.loads(json.dumps(plan))["deployment"]


def test_record_grows_at_its_end() -> None:
    """With how it ended and what else is known."""
    plan = on_host.enable_plan(slurped(), {"results": []}, {"processes": []}, PATHS, VARIABLES, "0123", NOW, "v1.35.4")
    entries = on_host.recorded({**plan, "entries": [{"id": "earlier"}]}, record.DEPLOYED, NOW, {"since": NOW})

    assert ["earlier", "20261121T043000Z"] == [entry["id"] for entry in entries]
    assert (record.DEPLOYED, NOW, NOW) == tuple(entries[1][key] for key in ("outcome", "finished", "since"))
    assert "backup" not in entries[1]


def test_disable_plan_without_a_deployment() -> None:
    """Nothing to do."""
    assert not on_host.disable_plan(slurped(), {"results": []}, {"processes": []}, PATHS, NOW, "v1.35.4")["changed"]


def test_deployed_then_disabled() -> None:
    """From plan to record to the original bytes."""
    enabled = on_host.enable_plan(slurped(), {"results": []}, {"processes": []}, PATHS, VARIABLES, "0", NOW, "v1.35.4")
    entries = on_host.recorded(enabled, record.DEPLOYED, NOW, {"since": NOW})
    files = slurped(manifest=enabled["files"][-1]["text"], deployments=json.dumps(entries))
    disabled = on_host.disable_plan(files, {"results": []}, {"processes": []}, PATHS, NOW, "v1.35.4")

    assert (True, kubeadm(35)) == (disabled["changed"], disabled["files"][-1]["text"])
    assert enabled["pending"]["intent"]["flags"] == (on_host.ours(files, PATHS) or {})["flags"]


def test_ours_without_a_deployment() -> None:
    """Nothing is."""
    assert on_host.ours(slurped(), PATHS) is None


def test_probe_of_a_policy() -> None:
    """In plain values; none where nothing is logged."""
    text = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- level: Metadata\n"
    probe = on_host.probe(text, "p.yaml", "v1.35.4", "kaudit-x")

    assert ("GET", "Metadata", 0) == tuple((probe or {})[key] for key in ("method", "level", "rule"))
    assert on_host.probe(text.replace("Metadata", "None"), "p.yaml", "v1.35.4", "kaudit-x") is None


OURS = AuditIntent(INTENT.flags, INTENT.mounts).as_json()


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_kubeadm_configuration_goes_in_and_out(name: str) -> None:
    """With or without its kept original the text before comes back."""
    before = CONFIGURATIONS[name]
    after = on_host.kubeadm_config(before, "present", OURS, OURS, "")

    assert INTENT.flags == configuration.inspect(after).audit_flags
    assert after == on_host.kubeadm_config(after, "present", OURS, OURS, "")
    assert before == on_host.kubeadm_config(after, "absent", OURS, OURS, "")
    assert before == on_host.kubeadm_config(after, "absent", OURS, OURS, before)


def test_kubeadm_configuration_with_a_flag_of_its_own_comes_back() -> None:
    """The original says what kaudit replaced."""
    before = CONFIGURATIONS["v1beta4-args"].replace(
        "value: Node,RBAC", 'value: Node,RBAC\n  - name: audit-log-maxage\n    value: "7"'
    )
    after = on_host.kubeadm_config(before, "present", OURS, OURS, "")

    assert before == on_host.kubeadm_config(after, "absent", OURS, OURS, before)


def test_kubeadm_configuration_changed_since_keeps_the_change() -> None:
    """Only what is kaudit's goes."""
    after = on_host.kubeadm_config(V1BETA4, "present", OURS, OURS, "").replace("v1.35.4", "v1.36.0")

    assert V1BETA4.replace("v1.35.4", "v1.36.0") == on_host.kubeadm_config(after, "absent", OURS, OURS, V1BETA4)


def test_renamed_mount_is_renamed_in_the_kubeadm_configuration() -> None:
    """What an earlier deployment named is gone before the same path is mounted by another name."""
    first, second = (
        AuditIntent(INTENT.flags, (*INTENT.mounts, Mount(name, "/srv/hook", "/srv/hook")))
        for name in ("hook", "renamed")
    )
    ours = record.combined([{"intent": first.as_json()}, {"intent": second.as_json()}])
    before = on_host.kubeadm_config(V1BETA4, "present", first.as_json(), first.as_json(), "")
    after = on_host.kubeadm_config(before, "present", ours.as_json(), second.as_json(), "")

    assert ["kaudit-config", "kaudit-log", "renamed"] == [mount.name for mount in configuration.inspect(after).mounts]
    assert V1BETA4 == on_host.kubeadm_config(after, "absent", ours.as_json(), ours.as_json(), "")
    assert V1BETA4 == on_host.kubeadm_config(before, "absent", ours.as_json(), ours.as_json(), "")


def test_kubeadm_configuration_that_can_not_be_edited() -> None:
    """The refusal names the ConfigMap."""
    with pytest.raises(HostRefused, match="^ConfigMap kube-system/kubeadm-config, ClusterConfiguration"):
        on_host.kubeadm_config("kind: InitConfiguration\n", "present", OURS, OURS, "")
