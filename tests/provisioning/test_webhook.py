"""The webhook's kubeconfig: rendered from variables, taken from the receiver's role, or given; and what is refused."""

from __future__ import annotations

from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from kaudit_core.provisioning.certificates import Pair, Term, Wanted, keep_authority, keep_leaf
from kaudit_core.provisioning.receiver import connect
from kaudit_core.provisioning.receiver_settings import receiver_settings
from kaudit_core.provisioning.refusal import SettingsError
from kaudit_core.provisioning.webhook import Webhook, counted_as, from_receiver, from_variables, notes, source_of
from kaudit_core.provisioning.webhook_kubeconfig import from_kubeconfig, installed
from tests.receiver.test_connection import VARIABLES as RECEIVER

NOW = datetime(2026, 11, 21, 4, 30, tzinfo=UTC)
TERM = Term(NOW, 365, 30)
AUTHORITY, _ = keep_authority(None, "authority", Term(NOW, 3650, 30), 365)
CLIENT, _ = keep_leaf(None, AUTHORITY, Wanted("m1", server=False), TERM)
OTHER, _ = keep_leaf(None, AUTHORITY, Wanted("m2", server=False), TERM)
URL = "https://receiver.example:8443/reportAuditEvent"
PAIR = {"client_certificate": CLIENT.certificate, "client_key": CLIENT.key}
TYPED = {"url": URL, "ca": AUTHORITY.certificate, **PAIR}


def webhook(now: datetime = NOW, name: str = "m1", **changes: Any) -> Webhook:
    """From typed variables, some of them changed."""
    return from_variables({**TYPED, **changes}, name, now)


def test_kubeconfig_has_everything_in_it() -> None:
    """One file, as client-go reads it, that ends with the current context."""
    text = webhook().kubeconfig
    config = yaml.safe_load(text)
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]

    assert ("v1", "Config") == (config["apiVersion"], config["kind"])
    assert {"server", "certificate-authority-data"} == cluster.keys() and URL == cluster["server"]
    assert AUTHORITY.certificate == b64decode(cluster["certificate-authority-data"]).decode()
    assert CLIENT.certificate == b64decode(user["client-certificate-data"]).decode()
    assert CLIENT.key == b64decode(user["client-key-data"]).decode()
    assert {"cluster": "audit-webhook", "user": "kube-apiserver"} == config["contexts"][0]["context"]
    assert "audit-webhook" == config["current-context"] == config["contexts"][0]["name"]
    assert text.startswith("# Managed by kaudit.\n")


def test_kubeconfig_is_the_same_for_the_same_variables() -> None:
    """Its sha256 decides whether a server is restarted."""
    assert webhook().kubeconfig == webhook().kubeconfig
    assert webhook().kubeconfig != webhook(url=URL + "/m1").kubeconfig


def test_token_instead_of_a_certificate() -> None:
    config = yaml.safe_load(webhook(client_certificate="", client_key=None, token=" 1e3\n").kubeconfig)

    assert {"token": "1e3"} == config["users"][0]["user"]


def test_verification_is_skipped_by_name_only() -> None:
    """And with a warning."""
    made = webhook(ca="", insecure_skip_tls_verify=True)
    cluster = yaml.safe_load(made.kubeconfig)["clusters"][0]["cluster"]

    assert {"server": URL, "insecure-skip-tls-verify": True} == cluster
    assert "gets every event" in notes(made, NOW)[0]
    assert [] == notes(webhook(), NOW)
    assert "not given, so the receiver is trusted by the CAs" in notes(webhook(ca=""), NOW)[0]


def test_certificates_that_end_soon_are_told() -> None:
    assert [] == notes(webhook(), NOW + timedelta(days=334))
    assert ["apiserver_audit_webhook_client_certificate: expires on 2027-11-21; renew it, run enable.yml"] == notes(
        webhook(), NOW + timedelta(days=340)
    )


def test_secrets_are_not_shown() -> None:
    assert CLIENT.key.splitlines()[1] not in repr(webhook()) + repr(
        webhook(client_certificate="", client_key="", token="s3")
    )
    assert "s3" not in repr(webhook(client_certificate="", client_key="", token="s3cret"))


urls = {
    "path-by-default": ("https://receiver:8443", "https://receiver:8443/reportAuditEvent", "receiver", 8443),
    "slash-only": ("https://receiver:8443/", "https://receiver:8443/reportAuditEvent", "receiver", 8443),
    "port-by-default": ("https://receiver/x", "https://receiver/x", "receiver", 443),
    "name-in-the-path": ("https://r:1/reportAuditEvent/<api-server>", "https://r:1/reportAuditEvent/m%201", "r", 1),
    "capitals": ("https://Receiver.Example:8443/A", "https://receiver.example:8443/A", "receiver.example", 8443),
    "ipv4": ("https://192.0.2.10:8443/a", "https://192.0.2.10:8443/a", "192.0.2.10", 8443),
    "ipv6": ("https://[2001:DB8::1]:8443/a", "https://[2001:db8::1]:8443/a", "2001:db8::1", 8443),
    "quoted-path": ("https://r/a%20b", "https://r/a%20b", "r", 443),
}


@pytest.mark.parametrize(("url", "shown", "host", "port"), urls.values(), ids=urls)
def test_url(url: str, shown: str, host: str, port: int) -> None:
    target = webhook(name="m 1", url=url).target

    assert (shown, host, port) == (target.url, target.host, target.port)
    assert target.url.endswith(target.path)


def test_plain_http_by_name_only() -> None:
    bare: dict[str, Any] = {
        "ca": "",
        "client_certificate": "",
        "client_key": "",
        "url": "http://receiver/x",
        "allow_http": True,
    }
    made = webhook(**bare)

    assert (False, 80) == (made.target.encrypted, made.target.port)
    assert ["apiserver_audit_webhook_allow_http: events go to http://receiver/x in the clear"] == notes(made, NOW)


def test_addresses_are_pinned_in_their_order() -> None:
    made = webhook(address=["192.0.2.2", "[2001:DB8::1]", "192.0.2.1", "192.0.2.2"])

    assert ("192.0.2.2", "2001:db8::1", "192.0.2.1") == made.addresses
    assert ("192.0.2.2",) == webhook(address="192.0.2.2").addresses


refused: dict[str, tuple[dict[str, Any], str]] = {
    "http": ({"url": "http://receiver/x"}, "url: http://receiver/x would carry events in the clear"),
    "http-with-ca": ({"url": "http://receiver/x", "allow_http": True}, "url: without TLS nobody can prove anything"),
    "another-scheme": ({"url": "ftp://receiver/x"}, "url: 'ftp://receiver/x' is no URL"),
    "no-host": ({"url": "https:///x"}, "url: 'https:///x' is no URL"),
    "no-scheme": ({"url": "receiver:8443/x"}, "is no URL"),
    "port-too-large": ({"url": "https://receiver:99999/x"}, "is no URL"),
    "bare-ipv6": ({"url": "https://2001:db8::1/x"}, "is no URL"),
    "line-break": ({"url": "https://receiver/x\ny"}, "is no URL"),
    "blank": ({"url": "https://receiver/x y"}, "is no URL"),
    "query": ({"url": "https://receiver/x?a=b"}, "sends no user, query or fragment"),
    "user": ({"url": "https://u:p@receiver/x"}, "sends no user, query or fragment"),
    "slash-at-the-end": ({"url": "https://receiver/x/"}, "would post to /x and not to /x/"),
    "upwards": ({"url": "https://receiver/x/../y"}, "would post to /y and not to /x/../y"),
    "underscore": ({"url": "https://re_ceiver/x"}, "'re_ceiver' is neither a name nor an address"),
    "no-address": ({"url": "https://192.0.2.300/x"}, "'192.0.2.300' is neither a name nor an address"),
    "ca-and-insecure": ({"insecure_skip_tls_verify": True}, "insecure_skip_tls_verify: set together with a CA"),
    "no-ca": ({"ca": "nonsense"}, "ca: no certificate in PEM"),
    "certificate-without-key": ({"client_key": ""}, "client_key: not set, and its counterpart is"),
    "key-without-certificate": ({"client_certificate": ""}, "client_certificate: not set, and its counterpart is"),
    "token-and-certificate": ({"token": "x"}, "token: set together with a client certificate"),
    "token-with-a-blank": ({"client_certificate": "", "client_key": "", "token": "a b"}, "token: has blanks or signs"),
    "key-of-another": ({"client_key": OTHER.key}, "client_key: does not belong to apiserver_audit_webhook_client_c"),
    "no-key": ({"client_key": "nonsense"}, "client_key: no private key in PEM"),
    "no-certificate": ({"client_certificate": "nonsense"}, "client_certificate: no certificate in PEM"),
    "no-ip": ({"address": "receiver"}, "address: 'receiver' is no IP address"),
    "address-of-an-address": (
        {"url": "https://192.0.2.10/x", "address": "192.0.2.11"},
        "the URL has an address already",
    ),
    "address-and-service": (
        {"address": "192.0.2.10", "service": "a/b"},
        "address: set together with apiserver_audit_w",
    ),
}


@pytest.mark.parametrize(("changes", "message"), refused.values(), ids=refused)
def test_variable_is_refused(changes: dict[str, Any], message: str) -> None:
    """In one printable line that begins with the variable, and has no secret."""
    with pytest.raises(SettingsError) as caught:
        webhook(**changes)

    said = str(caught.value)
    assert message in said
    assert said.startswith("apiserver_audit_webhook_") and said.isprintable() and "; " in said
    assert "PRIVATE" not in said and "u:p" not in said


def test_what_has_expired_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"^apiserver_audit_webhook_client_certificate: expired on 2027-11-21"):
        webhook(now=NOW + timedelta(days=366))
    with pytest.raises(SettingsError, match=r"^apiserver_audit_webhook_ca: expired on 2036"):
        webhook(now=NOW + timedelta(days=3651))


def test_there_is_one_source() -> None:
    """A URL with its variables, the receiver's directory, or a kubeconfig."""
    own = {"kubeconfig": "x", "url": "", "insecure_skip_tls_verify": True, "allow_http": True}
    assert ["url", "kubeconfig"] == [source_of(TYPED), source_of(own)]
    for given, message in (
        ({}, "apiserver_audit_webhook_url: not set"),
        ({"url": URL, "kubeconfig": "x"}, "_kubeconfig: set together with apiserver_audit_webhook_url"),
        ({"receiver_directory": "x", "token": "y"}, "_token: apiserver_audit_webhook_receiver_directory says that"),
        ({"kubeconfig": "x", "ca": "y"}, "_ca: apiserver_audit_webhook_kubeconfig says that already"),
    ):
        with pytest.raises(SettingsError, match=message):
            source_of(given)


def receiver_tree(**hosts: str) -> dict[str, str]:
    """What the role audit_receiver leaves on the controller."""
    return connect(receiver_settings({**RECEIVER, "name": "kaudit-receiver"}, hosts), {}, None, NOW).files


def test_what_the_receivers_role_made_is_enough() -> None:
    """URL, authority, this API server's own certificate, and the receivers' addresses in its order."""
    tree = receiver_tree(r1="192.0.2.1", r2="192.0.2.2")
    first, second = (from_receiver({"receiver_directory": "d"}, tree, name, NOW) for name in ("m1", "m2"))

    assert "https://kaudit-receiver:8443/reportAuditEvent/m1" == first.target.url
    assert (("192.0.2.1", "192.0.2.2"), ("192.0.2.2", "192.0.2.1")) == (first.addresses, second.addresses)
    assert tree["receivers/ca.crt"] == first.authority
    assert (tree["api-servers/m2/webhook.crt"], tree["api-servers/m2/webhook.key"]) == (second.certificate, second.key)
    assert ["m1", "m2"] == [each.client for each in (first, second)]


def test_what_the_receivers_role_did_not_make_is_named() -> None:
    tree = receiver_tree(r1="192.0.2.1")
    with pytest.raises(
        SettingsError, match=r"^apiserver_audit_webhook_receiver_directory: d has no api-servers/m3/web"
    ):
        from_receiver({"receiver_directory": "d"}, tree, "m3", NOW)
    with pytest.raises(SettingsError, match="can't be read; run kaudit.k8s.receiver"):
        from_receiver({"receiver_directory": "d"}, {**tree, "api-servers.json": "{"}, "m1", NOW)


@pytest.mark.parametrize(
    ("url", "names"),
    [
        pytest.param(f"{URL}/m%201", ["m%201", "m1"], id="path-and-certificate"),
        pytest.param(f"{URL}/m1", ["m1"], id="both-the-same"),
        pytest.param(URL, ["m1"], id="certificate"),
    ],
)
def test_receivers_count_by_path_or_certificate(url: str, names: list[str]) -> None:
    assert names == counted_as(webhook(url=url))


def config(**changes: Any) -> str:
    """Somebody's own kubeconfig: lists and members replaced by name."""
    data = {name: b64encode(text.encode()).decode() for name, text in TYPED.items()}
    value: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "a", "cluster": {"server": URL, "certificate-authority-data": data["ca"]}}],
        "users": [
            {
                "name": "b",
                "user": {
                    "client-certificate-data": data["client_certificate"],
                    "client-key-data": data["client_key"],
                },
            }
        ],
        "contexts": [{"name": "c", "context": {"cluster": "a", "user": "b"}}],
        "current-context": "c",
        **changes,
    }
    return "# mine\n" + yaml.safe_dump(value)


def cluster(**members: Any) -> dict[str, Any]:
    return {
        "clusters": [{"name": "a", "cluster": {"server": URL, **{k.replace("_", "-"): v for k, v in members.items()}}}]
    }


def user(**members: Any) -> dict[str, Any]:
    return {"users": [{"name": "b", "user": {k.replace("_", "-"): v for k, v in members.items()}}]}


def test_own_kubeconfig_stays_as_it_is() -> None:
    """And the probe finds everything in it."""
    made = from_kubeconfig(config(), {"address": "192.0.2.10"}, "m1", NOW)

    assert config() == made.kubeconfig
    assert (AUTHORITY.certificate, CLIENT.certificate, CLIENT.key) == (made.authority, made.certificate, made.key)
    assert ("receiver.example", ("192.0.2.10",)) == (made.target.host, made.addresses)


def test_what_was_rendered_can_be_read_again() -> None:
    """For status, from the master's file alone."""
    made, read = webhook(), installed(webhook().kubeconfig, "/etc/x")

    assert (made.target, made.authority, made.key) == (read.target, read.authority, read.key)


def test_own_kubeconfig_with_another_server_name() -> None:
    made = from_kubeconfig(config(**cluster(tls_server_name="other")), {}, "m1", NOW)

    assert "other" == made.server_name


own: dict[str, tuple[str, str]] = {
    "no-yaml": ("a: [", "line 1: this is no YAML"),
    "no-kubeconfig": ("a: b", "this is no kubeconfig"),
    "no-context": (config(**{"current-context": ""}), "has no current-context"),
    "unknown-context": (config(**{"current-context": "x"}), "contexts has no 'x'"),
    "no-clusters": (config(clusters=None), "clusters has no 'a'"),
    "no-server": (config(clusters=[{"name": "a", "cluster": {}}]), "its cluster has no server"),
    "no-path": (
        config(**cluster(server="https://r:1")),
        "its server is https://r:1; write https://r:1/reportAuditEvent",
    ),
    "http": (config(**cluster(server="http://r:1/x")), "would carry events in the clear"),
    "ca-as-a-file": (
        config(**cluster(certificate_authority="/x")),
        "names a file (certificate-authority); put the cont",
    ),
    "key-as-a-file": (config(**user(client_key="/x")), "names a file (client-key); put the content in as client-key-d"),
    "slip-of-the-pen": (
        config(**cluster(certifcate_authority_data="x")),
        "its cluster has 'certifcate-authority-data'; did you mean certificate-authority-data",
    ),
    "command": (config(**user(exec={"command": "x"})), "its user has 'exec'; take it out"),
    "no-base64": (config(**cluster(certificate_authority_data="%")), "certificate-authority-data is no base64 of PEM"),
    "no-pem": (config(**cluster(certificate_authority_data="eHg=")), "kubeconfig: no certificate in PEM"),
    "insecure": (config(**cluster(insecure_skip_tls_verify=True)), "skips verifying the receiver; give its CA, or set"),
    "both": (
        config(**user(token="x", client_certificate_data="eA==", client_key_data="eA==")),
        "set together with a clie",
    ),
}


@pytest.mark.parametrize(("text", "message"), own.values(), ids=own)
def test_own_kubeconfig_is_refused(text: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        from_kubeconfig(text, {}, "m1", NOW)

    assert message in str(caught.value)
    assert str(caught.value).startswith("apiserver_audit_webhook_kubeconfig: ")


def test_own_kubeconfig_may_skip_verifying_when_that_is_said_too() -> None:
    text = config(**cluster(insecure_skip_tls_verify=True))

    assert from_kubeconfig(text, {"insecure_skip_tls_verify": True}, "m1", NOW).insecure


def test_a_damaged_file_on_a_master_is_named() -> None:
    with pytest.raises(SettingsError, match=r"^/etc/x: this is no kubeconfig"):
        installed("", "/etc/x")


def test_pairs_are_whole() -> None:
    """The tests' own certificates are what they say."""
    assert isinstance(CLIENT, Pair) and CLIENT.leaf != OTHER.leaf
