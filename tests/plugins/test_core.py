"""The way from a plugin to kaudit_core: plain values, one version, and what ansible-playbook shows of a refusal."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import kaudit_core
from kaudit_core.policy.composition import compose

ROOT = Path(__file__).resolve().parents[2]
POLICY = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- level: Metadata\n  users: ['1e3']\n"
LOGS_ALL = POLICY.replace("  users: ['1e3']\n", "")
SETTINGS: dict[str, Any] = {
    "policy_path": "/srv/policy/p.yaml",
    "log_path": "/srv/log/audit.log",
    "log_max_age": 30,
    "log_max_backup": 10,
    "log_max_size": 100,
    "settle_seconds": 21,
    "ready_timeout": 180,
    "restore_after": 600,
}


@pytest.fixture(scope="module")
def core() -> Any:
    """plugin_utils/core.py, imported without Ansible's collection loader."""
    spec = importlib.util.spec_from_file_location("plugin_core", ROOT / "plugins" / "plugin_utils" / "core.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def kinds(value: Any) -> set[type]:
    """The exact types in a value."""
    parts = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    return {type(value)}.union(*(kinds(part) for part in parts))


def loaded(text: str) -> Any:
    """YAML as Ansible loads variables: with its own subclasses."""
    return importlib.import_module("ansible.parsing.dataloader").DataLoader().load(text)


def test_plain_gives_exact_types(core: Any) -> None:
    """Libraries in C take str, dict and list for such, and no subclass."""
    tagged = loaded("a: [b, {c: d}, 1, 1.5, true, null, 'ż']\n")

    assert kinds(tagged) - {str, dict, list, int, float, bool, type(None)}
    assert {str, dict, list, int, float, bool, type(None)} == kinds(core.plain(tagged))
    assert {"a": ["b", {"c": "d"}, 1, 1.5, True, None, "ż"]} == core.plain(tagged)


def test_plain_refuses_what_no_variable_should_be(core: Any) -> None:
    """A sentence, not a traceback."""
    with pytest.raises(Exception, match="a variable holds something other than text, numbers, lists and mappings"):
        core.plain({"a": b"b"})


def test_core_gives_a_module(core: Any) -> None:
    """Of the package that lies beside the collection, or is installed."""
    assert "kaudit_core.provisioning.on_host" == core.core("provisioning.on_host").__name__


def test_collection_and_package_have_one_version(core: Any) -> None:
    """The check compares with the collection's own."""
    assert yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"] == core.VERSION


def test_other_version_is_refused(core: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both versions and the command that mends it."""
    monkeypatch.setattr(kaudit_core, "__version__", "9.9.9")

    with pytest.raises(Exception, match=r"package kaudit is 9\.9\.9; install it .*: pip install kaudit==") as caught:
        core.core("provisioning.on_host")

    assert "AnsibleError" == type(caught.value).__name__


def test_missing_package_is_named(core: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the Python it belongs into."""
    monkeypatch.setitem(sys.modules, "kaudit_core", None)

    with pytest.raises(Exception, match=r"the Python package kaudit is missing; install it into the Python that runs"):
        core.core("provisioning.on_host")


def decide(what: str, **given: Any) -> dict[str, Any]:
    """A task."""
    return {"kaudit.k8s.decide": {"what": what, "given": given}}


def policy(**arguments: Any) -> dict[str, Any]:
    """A task."""
    return {"kaudit.k8s.policy": arguments}


COMPOSITION: dict[str, Any] = {
    "preset": "secure",
    "rules_before": [{"level": "None", "users": ["1e3", "None"]}],
    "group_overrides": [{"group": "devs", "preset": "write-bodies"}],
    "without_tokens": True,
}
TASKS: dict[str, dict[str, Any]] = {
    "settings": decide("check_settings", variables="{{ usual }}"),
    "bad_settings": decide("check_settings", variables="{{ usual | combine({'log_path': '/var/log/a.log'}) }}"),
    "probe": decide("probe", text=LOGS_ALL, source="p.yaml", version="v1.35.4", name="kaudit-x"),
    "policy_file": policy(file="p.yaml"),
    "policy_mapping": policy(content="{{ mapping }}"),
    "policy_text": policy(content=POLICY),
    "policy_bad": policy(content=POLICY.replace("Metadata", '"\\e[31mMeta"')),
    "policy_absent": policy(file="none.yaml"),
    "policy_twice": policy(file="p.yaml", content=POLICY),
    "policy_never": policy(),
    "policy_version": policy(file="p.yaml", kubernetes_version="1.99"),
    "policy_preset": policy(composition="{{ composition }}"),
    "policy_preset_and_file": policy(file="p.yaml", composition={"preset": "secure"}),
    "policy_preset_unknown": policy(composition={"preset": "\x1b[31msafe"}),
    "policy_override": policy(
        composition={"preset": "ack", "group_overrides": [{"group": "devs", "level": "request"}]}
    ),
    "policy_rule": policy(composition={"preset": "ack", "rules_before": [{"level": "None", "verb": ["get"]}]}),
    "policy_override_of_file": policy(file="p.yaml", composition={"rules_after": [{"level": "None"}]}),
    "turns": {
        "ansible.builtin.set_fact": {
            "order": "{{ ['a1', 'a2', 'b1'] | kaudit.k8s.turn_order(['a', 'a', 'b']) }}",
            "sizes": "{{ ['a', 'b', 'a'] | kaudit.k8s.serial_batches }}",
        }
    },
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What every task gave, from one real ansible-playbook."""
    folder = tmp_path_factory.mktemp("play")
    (folder / "ansible_collections" / "kaudit").mkdir(parents=True)
    (folder / "ansible_collections" / "kaudit" / "k8s").symlink_to(ROOT)
    (folder / "files").mkdir()
    (folder / "files" / "p.yaml").write_text(POLICY)
    tasks = [{**task, "name": name, "register": name, "ignore_errors": True} for name, task in TASKS.items()]
    gathered = "{{ {" + ", ".join(f"'{name}': {name}" for name in TASKS) + "} | to_json }}"
    keep = {
        "name": "Keep",
        "ansible.builtin.copy": {"content": gathered, "dest": str(folder / "out.json"), "mode": "0600"},
    }
    play = {
        "name": "Ask",
        "hosts": "localhost",
        "gather_facts": False,
        "vars": {"usual": SETTINGS, "mapping": yaml.safe_load(POLICY), "composition": COMPOSITION},
        "tasks": [*tasks, keep],
    }
    (folder / "ansible.cfg").touch()
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(folder), "ANSIBLE_CONFIG": str(folder / "ansible.cfg")}
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", "-c", "local", "play.yml"]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**environment, "ANSIBLE_PYTHON_INTERPRETER": sys.executable, "ANSIBLE_HOME": str(folder / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    return json.loads((folder / "out.json").read_text())


def test_decision_of_tagged_variables(results: Any) -> None:
    """Variables of a play reach the pure functions."""
    assert {"policy": "/srv/policy", "log": "/srv/log"} == results["settings"]["decision"]
    assert not results["settings"]["changed"]


def test_refusal_is_one_sentence(results: Any) -> None:
    """The task fails with what is wrong and what to do."""
    assert results["bad_settings"]["failed"]
    assert results["bad_settings"]["msg"].startswith("apiserver_audit_log_path: /var/log holds other things too")


def test_decision_may_be_structured(results: Any) -> None:
    """A probe is a mapping."""
    assert ("GET", "Metadata") == tuple(results["probe"]["decision"][key] for key in ("method", "level"))


def test_policy_of_a_file(results: Any) -> None:
    """Found where the play's files are, and copied from there."""
    found = results["policy_file"]

    assert (POLICY, "p.yaml", "p.yaml") == (found["text"], found["source"], Path(found["file"]).name)


def test_policy_of_a_mapping_keeps_its_texts(results: Any) -> None:
    """A user named 1e3 stays a text."""
    found = results["policy_mapping"]

    assert yaml.safe_load(POLICY) == yaml.safe_load(found["text"])
    assert "- '1e3'" in found["text"]
    assert "" == found["file"]


def test_policy_of_a_text_has_the_files_hash(results: Any) -> None:
    """Both ways to give a policy are one."""
    assert results["policy_file"]["sha256"] == results["policy_text"]["sha256"]


def test_policy_of_a_preset_is_what_the_command_line_prints(results: Any) -> None:
    """Same data, same bytes, whatever types Ansible's variables have."""
    found = results["policy_preset"]
    expected = compose(COMPOSITION).text

    assert ("preset secure", "", expected) == (found["source"], found["file"], found["text"])
    assert hashlib.sha256(expected.encode()).hexdigest() == found["sha256"]


refusals = {
    "bad": "audit_policy_content:4:10: ",
    "absent": "none.yaml: can't be read: no such file; check audit_policy_file",
    "twice": "audit_policy_file and audit_policy_content are set; set one of them",
    "never": "audit_policy_preset, audit_policy_file or audit_policy_content: none is set; set one of them",
    "version": "Kubernetes 1.99 is not supported",
    "preset_and_file": "audit_policy_preset and audit_policy_file are set; set one of them",
    "preset_unknown": 'audit_policy_preset: "\\u001b[31msafe" is no preset; write one of secure, ',
    "override": 'audit_policy_group_overrides[0].level: "request" is no level; write Request, letter case matters',
    "rule": "audit_policy_rules_before[0].verb: unknown field verb: ",
    "override_of_file": "audit_policy_rules_after: only goes with audit_policy_preset; change audit_policy_file ",
}


@pytest.mark.parametrize(("name", "message"), refusals.items(), ids=refusals)
def test_policy_is_refused(results: Any, name: str, message: str) -> None:
    """With file and line, on one printable line."""
    found = results[f"policy_{name}"]

    assert found["failed"]
    assert message in found["msg"]
    assert found["msg"].isprintable()


def test_filters_reach_the_core(results: Any) -> None:
    """Lists in, lists out."""
    facts = results["turns"]["ansible_facts"]

    assert (["a1", "b1", "a2"], [2, 1]) == (facts["order"], facts["sizes"])
