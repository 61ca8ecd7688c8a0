"""Laws of the edits, for manifests and kubeadm configurations in any style."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kaudit_core.provisioning import kubeadm_config, manifest
from kaudit_core.provisioning.intent import AuditIntent
from tests.provisioning import intended
from tests.provisioning.generated import commented, configurations, full_manifests, intents, manifests
from tests.provisioning.manifests import CONFIGURATIONS, INTENT, MANIFESTS, NAMED

edited = [
    *[pytest.param(manifest, text, id=f"manifest-{name}") for name, text in MANIFESTS.items()],
    *[pytest.param(kubeadm_config, text, id=f"configuration-{name}") for name, text in CONFIGURATIONS.items()],
]


def is_subsequence(short: Any, long: Any) -> bool:
    """Whether everything of the one is in the other, in order."""
    rest = iter(long)
    return all(any(item == other for other in rest) for item in short)


def check_laws(edit: Any, text: str, intent: AuditIntent) -> str:
    """Only inserted, meant so, done once, and taken back: the edited text."""
    applied: str = edit.apply(text, intent)
    reference = intended.pod if edit is manifest else intended.configuration

    assert reference(intended.load(text), intent) == intended.load(applied)
    assert is_subsequence(text, applied)
    assert applied == edit.apply(applied, intent)
    assert text == edit.remove(applied, intent)
    return applied


@pytest.mark.parametrize(("edit", "text"), edited)
def test_every_style_found_is_edited_and_given_back(edit: Any, text: str) -> None:
    """Manifests and configurations as tools and people write them keep all four laws."""
    check_laws(edit, text, INTENT)


@pytest.mark.parametrize("text", MANIFESTS.values(), ids=MANIFESTS)
def test_names_are_edited_and_given_back(text: str) -> None:
    """Variables, aliases and the DNS policy keep all four laws in every style, with and without the rest."""
    check_laws(manifest, text, NAMED)
    everything = dataclasses.replace(NAMED, flags=INTENT.flags, mounts=INTENT.mounts, annotations=INTENT.annotations)
    check_laws(manifest, text, everything)


@pytest.mark.parametrize(("edit", "text"), edited)
def test_without_libyaml_the_text_is_the_same(edit: Any, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyYAML's pure reader leads to the same bytes; it only can't read JSON that is indented with tabs."""
    expected = edit.apply(text, INTENT)
    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)

    if "\t" in text:
        with pytest.raises(manifest.EditRefused, match="not readable"):
            edit.apply(text, INTENT)
    else:
        assert expected == edit.apply(text, INTENT)


@given(text=manifests, intent=intents())
def test_manifest_laws(text: str, intent: AuditIntent) -> None:
    """Any intent on any manifest keeps the four laws."""
    check_laws(manifest, text, intent)


@given(text=configurations(), intent=intents())
def test_configuration_laws(text: str, intent: AuditIntent) -> None:
    """Any intent on any ClusterConfiguration keeps the four laws."""
    check_laws(kubeadm_config, text, dataclasses.replace(intent, annotations={}))


@given(text=full_manifests, intent=intents())
def test_whole_lines_stay(text: str, intent: AuditIntent) -> None:
    """In block style every line is there as before, where no key has to say what it was before it was filled."""
    assert is_subsequence(text.splitlines(), manifest.apply(text, intent).splitlines())


@given(text=manifests, first=intents(), second=intents())
def test_change_of_mind_gives_the_second_pod(text: str, first: AuditIntent, second: AuditIntent) -> None:
    """Applied over an earlier intent, the result means the second alone, and removal gives the first bytes back."""
    applied = manifest.apply(manifest.apply(text, first), second, previous=first)

    assert _sorted(intended.pod(intended.load(text), second)) == _sorted(intended.load(applied))
    assert applied == manifest.apply(applied, second, previous=first)
    assert text == manifest.remove(applied, second)


def _sorted(pod: Any) -> Any:
    """A pod whose flags and mounts are in one order; what is empty is left out."""
    container = pod["spec"]["containers"][0]
    container["command"] = sorted([*(container.get("command") or []), *(container.pop("args", None) or [])])
    for owner, key in ((container, "volumeMounts"), (pod["spec"], "volumes")):
        owner[key] = sorted(owner.get(key) or [], key=lambda item: str(item["name"]))
    for alias in pod["spec"].get("hostAliases") or []:
        alias["hostnames"] = sorted(alias["hostnames"])
    for owner, key, name in ((container, "env", "name"), (pod["spec"], "hostAliases", "ip")):
        owner[key] = sorted(owner.get(key) or [], key=lambda item: str(item[name]))
    pod["metadata"]["annotations"] = pod["metadata"].get("annotations") or {}
    return pod


@given(st.data(), st.sampled_from(["kubeadm-1.31", "kops", "empty-lists", "bare", "indented"]), intents())
def test_after_hand_edits_apply_and_remove_still_work(data: st.DataObject, name: str, intent: AuditIntent) -> None:
    """Comments, lost lines and doubled flags of later hands: apply mends what is ours, remove takes exactly ours."""
    text = MANIFESTS[name]
    touched = data.draw(commented(manifest.apply(text, intent)))
    flags = [
        line for line in touched.splitlines() if line.strip().startswith("- ") and "--audit-" in line.split("#")[0]
    ]
    if flags:
        line = data.draw(st.sampled_from(flags))
        touched = touched.replace(
            line, data.draw(st.sampled_from([f"{line}\n{line}", line.replace("=", "=9", 1), "# gone"])), 1
        )
    mended = manifest.apply(touched, intent)

    assert _sorted(intended.pod(intended.load(text), intent)) == _sorted(intended.load(mended))
    assert mended == manifest.apply(mended, intent)
    assert _sorted(intended.load(text)) == _sorted(intended.load(manifest.remove(mended, intent)))
