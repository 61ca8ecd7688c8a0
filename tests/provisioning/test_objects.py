"""Objects of the Kubernetes API: where they live, what counts as a change, and what a diff may show."""

from __future__ import annotations

from typing import Any

import pytest

from kaudit_core.provisioning.objects import applying, elsewhere, essence, is_rolled_out, read_objects, shown, uri


def made(kind: str, version: str = "v1", **more: Any) -> dict[str, Any]:
    """An object as the API server answers with it."""
    metadata = {"name": "n", "namespace": "s", "uid": "1", "resourceVersion": "7", "managedFields": [{}]}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **more}


@pytest.mark.parametrize(
    ("kind", "version", "place"),
    [
        ("Namespace", "v1", "/api/v1/namespaces/n"),
        ("Service", "v1", "/api/v1/namespaces/s/services/n"),
        ("Deployment", "apps/v1", "/apis/apps/v1/namespaces/s/deployments/n"),
        ("NetworkPolicy", "networking.k8s.io/v1", "/apis/networking.k8s.io/v1/namespaces/s/networkpolicies/n"),
    ],
)
def test_an_object_has_its_place(kind: str, version: str, place: str) -> None:
    assert place == uri(made(kind, version))


def test_what_the_server_keeps_for_itself_is_no_change() -> None:
    before = made("Service", spec={"type": "ClusterIP"}, status={"loadBalancer": {}})
    after = made("Service", spec={"type": "ClusterIP"}) | {"metadata": {"name": "n", "namespace": "s", "uid": "2"}}

    assert essence(before) == essence(after)
    assert essence(before) != essence({**after, "spec": {"type": "NodePort"}})
    assert {} == essence(None)


def test_a_secret_is_not_shown() -> None:
    text = shown(made("Secret", data={"receiver.pem": "c2VjcmV0"}))

    assert "receiver.pem: (hidden)" in text
    assert "c2VjcmV0" not in text


def test_a_check_asks_the_server_without_storing() -> None:
    assert "dryRun=All" in applying(True) and "dryRun" not in applying(False)
    assert "fieldValidation=Strict" in applying(True)
    assert "default" == elsewhere(made("Secret"))["metadata"]["namespace"]


def test_empty_documents_are_none() -> None:
    assert [made("Secret")] == read_objects(f"---\n---\n{made('Secret')}\n---\n")


@pytest.mark.parametrize(
    ("status", "done"),
    [
        ({"observedGeneration": 2, "updatedReplicas": 1, "availableReplicas": 1}, True),
        ({"observedGeneration": 1, "updatedReplicas": 1, "availableReplicas": 1}, False),
        ({"observedGeneration": 2, "updatedReplicas": 1}, False),
        ({}, False),
    ],
)
def test_a_deployment_is_rolled_out_when_its_newest_pods_are_available(status: dict[str, int], done: bool) -> None:
    deployment = {"metadata": {"generation": 2}, "spec": {"replicas": 1}, "status": status}

    assert done is is_rolled_out(deployment)
    assert not is_rolled_out(None)
