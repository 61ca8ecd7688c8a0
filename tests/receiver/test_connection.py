"""What the role audit_receiver makes on the controller: certificates, their renewal, kubeconfigs, refusals."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509

from kaudit_core.provisioning.certificates import Pair, Term, end_of, fingerprint, keep_authority
from kaudit_core.provisioning.receiver import Connection, address_of, connect, given_certificates, report
from kaudit_core.provisioning.receiver_settings import is_removed, receiver_settings
from kaudit_core.receiver.ready import ask
from tests.receiver.batches import body, event, lines
from tests.receiver.certificates import Authority
from tests.receiver.running import Running, client_tls, wait_until

NOW = datetime.now(UTC).replace(microsecond=0)
VARIABLES: dict[str, Any] = {
    "state": "present",
    "placement": "host",
    "directory": "/srv/receiver",
    "name": "audit.example",
    "port": 8443,
    "api_servers": ["m1", "m2"],
    "allow_from": [],
    "options": [],
    "spool": "/var/lib/kaudit-receiver",
    "certificate_days": 365,
    "authority_days": 3650,
    "renew_before_days": 30,
    "namespace": "kaudit",
    "image": "",
    "replicas": 2,
    "cluster_ip": "",
}
HOSTS = {"r1": "127.0.0.1", "r2": "::1"}
IN_CLUSTER: dict[str, Any] = {"placement": "cluster", "image": "registry.example/kaudit:1", "cluster_ip": "10.96.0.9"}


def made(found: Mapping[str, str] | None = None, days: int = 0, **variables: Any) -> Connection:
    """What lies in the directory after a run so many days from now."""
    settings = receiver_settings({**VARIABLES, **variables}, HOSTS)
    return connect(settings, found or {}, None, NOW + timedelta(days=days))


def certificate(connection: Connection, path: str) -> x509.Certificate:
    """A certificate in the directory."""
    return x509.load_pem_x509_certificate(connection.files[path].encode())


def changed(before: Connection, after: Connection) -> set[str]:
    """The files that a later run writes."""
    return {name for name, text in after.files.items() if before.files.get(name) != text}


def write(connection: Connection, folder: Path) -> None:
    """The directory on the disk."""
    for name, text in connection.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def test_a_second_run_changes_nothing() -> None:
    first = made()
    second = made(first.files)

    assert (set(), []) == (changed(first, second), second.notes)
    assert {f"API server {name}: made; give it webhook.crt and webhook.key" for name in ("m1", "m2")} < set(first.notes)


def test_certificates_are_renewed_in_time_under_the_same_authority() -> None:
    """What API servers were given stays good: neither authority nor kubeconfig changes."""
    first = made()
    early, late = made(first.files, days=334), made(first.files, days=336)

    assert set() == changed(first, early)
    clients = {f"api-servers/m{number}/webhook.{ending}" for number in (1, 2) for ending in ("crt", "key")}
    assert {"receivers/r1.pem", "receivers/r2.pem", *clients, "api-servers.json"} == changed(first, late)
    assert {"renewed"} == {note.partition(": ")[2].partition("; ")[0] for note in late.notes}


def test_an_authority_is_renewed_with_its_key() -> None:
    """Leaves of before and after are good under either certificate of it; nobody is cut off."""
    first = made()
    later = made(first.files, days=3650 - 365 - 20)
    old, new = (certificate(each, "authority/ca.crt") for each in (first, later))

    assert first.files["authority/ca.crt"] != later.files["authority/ca.crt"]
    assert first.files["authority/ca.key"] == later.files["authority/ca.key"]
    for authority in (old, new):
        for leaf in (first, later):
            certificate(leaf, "api-servers/m1/webhook.crt").verify_directly_issued_by(authority)
    assert end_of(certificate(later, "api-servers/m1/webhook.crt")) <= end_of(new)


def test_no_certificate_outlives_its_authority() -> None:
    pair, _ = keep_authority(None, "short", Term(NOW, 400, 30), 365)
    kept, reason = keep_authority(pair, "short", Term(NOW, 400, 30), 365)

    assert ("", True) == (reason, kept.ends - NOW > timedelta(days=395))


def test_another_name_or_address_makes_another_certificate() -> None:
    first = made()
    moved = connect(receiver_settings(VARIABLES, {**HOSTS, "r1": "192.0.2.1"}), first.files, None, NOW)

    assert {"receivers/r1.pem", "api-servers.json"} == changed(first, moved)
    assert ["receiver r1: made: for other names"] == moved.notes


@pytest.mark.parametrize("lost", ["authority/ca.key", "authority/ca.crt"])
def test_half_an_authority_is_not_replaced(lost: str) -> None:
    """API servers may trust it."""
    files = {name: text for name, text in made().files.items() if name != lost}

    with pytest.raises(ValueError, match=f"/srv/receiver/{lost}: missing beside .*; bring it back, or"):
        made(files)


def test_a_foreign_key_is_not_taken_for_the_authoritys() -> None:
    files = {**made().files, "authority/ca.key": made().files["authority/ca.key"]}

    with pytest.raises(ValueError, match="no usable authority .* don't belong together"):
        made(files)


def test_damaged_leaves_are_made_again() -> None:
    first = made()
    again = made({**first.files, "receivers/r1.pem": "nonsense", "api-servers/m2/webhook.key": "nonsense"})

    assert {"receivers/r1.pem", "api-servers/m2/webhook.crt", "api-servers/m2/webhook.key"} < changed(first, again)
    assert first.files["receivers/r2.pem"] == again.files["receivers/r2.pem"]


def test_the_kubeconfig_names_url_authority_and_files_beside_it() -> None:
    """The API server reads the files again when they were renewed."""
    connection = made()
    config = yaml.safe_load(connection.files["api-servers/m2/webhook.yaml"])
    (cluster,) = config["clusters"]

    assert "https://audit.example:8443/reportAuditEvent/m2" == cluster["cluster"]["server"]
    authority = base64.b64decode(cluster["cluster"]["certificate-authority-data"]).decode()
    assert connection.files["authority/ca.crt"] == authority
    assert {"client-certificate": "webhook.crt", "client-key": "webhook.key"} == config["users"][0]["user"]


def test_every_api_server_begins_with_another_receiver() -> None:
    servers = made().shown["api_servers"]

    assert ["127.0.0.1 audit.example", "::1 audit.example"] == servers["m1"]["hosts"]
    assert ["::1 audit.example", "127.0.0.1 audit.example"] == servers["m2"]["hosts"]


def test_what_is_shown_holds_no_key() -> None:
    connection = made()
    shown = json.dumps(connection.shown) + "\n".join(report(connection.shown, "/srv/receiver"))
    secret = [line for name, text in connection.files.items() if name.endswith(".key") for line in text.splitlines()]

    assert [] == [line for line in secret if line in shown]
    assert "https://audit.example:8443/reportAuditEvent/<api-server>" in shown
    assert fingerprint(connection.files["authority/ca.crt"]) in shown


def test_in_the_cluster_the_service_has_the_name() -> None:
    connection = made(**IN_CLUSTER)

    assert ["10.96.0.9"] == connection.shown["addresses"]
    assert {"cluster"} == set(connection.shown["receivers"])


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"name": "Audit_1"}, "audit_receiver_name: 'Audit_1' is no DNS name"),
        ({"port": 0}, "audit_receiver_port: 0 is no whole number from 1 to 65535"),
        ({"port": True}, "audit_receiver_port: True is no whole number"),
        ({"api_servers": []}, "audit_receiver_api_servers: names no API server"),
        ({"api_servers": ["../m"]}, "audit_receiver_api_servers: '../m' can't be a name"),
        ({"options": ["--keep-time 3d"]}, "audit_receiver_options: '--keep-time 3d' has blanks"),
        ({"options": ["x\nUser=root"]}, "audit_receiver_options: 'x\\nUser=root' has blanks"),
        ({"options": "--delete-untaken"}, "audit_receiver_options: no list of texts"),
        ({"allow_from": ["10.0.0.300"]}, "audit_receiver_allow_from: '10.0.0.300' is no address"),
        ({"renew_before_days": 365}, "audit_receiver_renew_before_days: 365 is not less than certificate_days"),
        ({"authority_days": 380}, "audit_receiver_authority_days: 380 is too short"),
        ({**IN_CLUSTER, "image": ""}, "audit_receiver_image: not set"),
        ({**IN_CLUSTER, "cluster_ip": ""}, "audit_receiver_cluster_ip: '' is no IP address"),
        ({**IN_CLUSTER, "namespace": "a b"}, "audit_receiver_namespace: 'a b' is no namespace"),
        ({**IN_CLUSTER, "namespace": "kube-system"}, "audit_receiver_namespace: kube-system holds other things too"),
    ],
)  # fmt: skip
def test_variables_are_refused_by_name(variables: dict[str, Any], said: str) -> None:
    """In one line that says what to do."""
    with pytest.raises(ValueError) as caught:
        receiver_settings({**VARIABLES, **variables}, HOSTS)
    assert str(caught.value).startswith(said)
    assert 1 == str(caught.value).count("; ") and "\n" not in str(caught.value)


@pytest.mark.parametrize("spool", ["/", "/var/lib", "spool", "/var/lib/../x", "//x", "/srv/a b", "/etc"])
def test_a_spool_that_holds_other_things_is_neither_made_nor_removed(spool: str) -> None:
    for state in ("present", "absent"):
        with pytest.raises(ValueError, match="audit_receiver_spool: "):
            is_removed({**VARIABLES, "state": state, "spool": spool})


def test_the_address_comes_from_its_variable_or_the_connection() -> None:
    given = [("r", "192.0.2.1", "h"), ("r", "", "192.0.2.2"), ("192.0.2.3", "", ""), ("r", "2001:db8::1", "")]

    assert ["192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1"] == [address_of(*one) for one in given]
    with pytest.raises(ValueError, match="audit_receiver_address: not known for r; set it to"):
        address_of("r", "", "logs.example")


class Given:
    """Certificates of the operator's own, by the names of their variables."""

    def __init__(self, folder: Path, lasts: timedelta) -> None:
        authority = Authority(folder, "own")
        paths = authority.issue("audit.example", lasts)
        self.texts = {"certificate": paths[0].read_text(), "key": paths[1].read_text()}
        self.texts |= {"ca": authority.path.read_text(), "client_ca": authority.path.read_text()}


def test_given_certificates_are_used_and_nothing_is_made(tmp_path: Path) -> None:
    given = Given(tmp_path, timedelta(days=300)).texts
    connection = connect(receiver_settings(VARIABLES, HOSTS), {}, given_certificates(given), NOW)

    assert given["key"] + given["certificate"] == connection.files["receivers/r1.pem"]
    assert [] == connection.notes + [name for name in connection.files if name.endswith(".key")]


def test_given_certificates_that_will_not_do_are_refused(tmp_path: Path) -> None:
    """Expired, with another key, incomplete, or none at all; one that ends soon is said."""
    settings = receiver_settings(VARIABLES, HOSTS)
    given = Given(tmp_path, timedelta(days=300)).texts
    other = Given(tmp_path, timedelta(days=20)).texts
    for texts, said in [
        (Given(tmp_path, timedelta(days=-1)).texts, "audit_receiver_certificate: expired on"),
        ({**given, "key": other["key"]}, "audit_receiver_key: does not belong to"),
        ({"certificate": given["certificate"]}, "audit_receiver_key: missing"),
        ({**given, "ca": "nonsense"}, "no certificate in PEM"),
    ]:
        with pytest.raises(ValueError, match=said):
            connect(settings, {}, given_certificates(texts), NOW)
    assert "expires on" in connect(settings, {}, given_certificates(other), NOW).notes[0]


def test_a_renewal_cuts_nobody_off(tmp_path: Path) -> None:
    """A running receiver takes the new certificate; clients with old and new ones write, as one API server."""
    settings = receiver_settings({**VARIABLES, "name": "localhost"}, {"r1": "127.0.0.1"})
    old = connect(settings, {}, None, NOW)
    lost = {name: text for name, text in old.files.items() if name.startswith("authority/")}
    today = connect(settings, lost, None, NOW)
    write(old, tmp_path / "old")
    write(today, tmp_path / "new")
    pem, ca = tmp_path / "old/receivers/r1.pem", tmp_path / "old/receivers/ca.crt"
    options = ["--certificate", str(pem), "--key", str(pem), "--client-ca", str(ca), "--identity", "certificate"]
    with Running(tmp_path / "spool", *options) as running:
        for number, version in enumerate(("old", "new")):
            folder = tmp_path / version / "api-servers/m1"
            running.tls = client_tls(ca, (folder / "webhook.crt", folder / "webhook.key"))
            assert 200 == running.post(body([event(number)]), "m1")[0]
        (tmp_path / "new/receivers/r1.pem").rename(pem)
        wanted = today.shown["receivers"]["r1"]["certificate_sha256"]
        wait_until(lambda: wanted == ask("127.0.0.1", running.port, "localhost", str(ca)), "the renewed certificate")
        assert 200 == running.post(body([event(2)]), "m1")[0]
        assert [event(0), event(1), event(2)] == lines(tmp_path / "spool", "m1")
    assert old.shown["receivers"]["r1"]["certificate_sha256"] != wanted
    assert Pair(today.files["receivers/ca.crt"], "").leaf == Pair(old.files["receivers/ca.crt"], "").leaf
