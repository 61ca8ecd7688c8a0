"""Where one API server sends its events, from the role's variables: all of it in one kubeconfig. Text in, text out."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

import yaml
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509 import Certificate, load_pem_x509_certificates
from cryptography.x509.oid import NameOID

from kaudit_core.provisioning.certificates import end_of
from kaudit_core.provisioning.webhook_target import DEFAULT_PATH, PREFIX, Target, pinned, read_url, refusal

SOON: Final = timedelta(days=30)
HEADER: Final = "# Managed by kaudit.\n"
_TOKEN: Final = re.compile(r"[!-~]+")
_TYPED: Final = ("ca", "client_certificate", "client_key", "token")
_PERMITS: Final = ("insecure_skip_tls_verify", "allow_http")
"""A kubeconfig of one's own needs them too: what is dangerous is said by name."""


@dataclass(frozen=True)
class Webhook:
    """What an API server needs; certificates and keys in PEM. addresses: what the URL's name is pinned to.

    server_name: in the receiver's certificate, where it isn't the URL's; given: the operator's own kubeconfig.
    """

    target: Target
    authority: str = field(default="", repr=False)
    certificate: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    insecure: bool = False
    server_name: str = ""
    addresses: tuple[str, ...] = ()
    given: str = field(default="", repr=False)

    @property
    def kubeconfig(self) -> str:
        """The file that --audit-webhook-config-file names, with everything in it."""
        return self.given or rendered(self)

    @property
    def client(self) -> str:
        """The common name in the client's certificate, "" without one."""
        if not self.certificate:
            return ""
        names = certificates(self.certificate, "client_certificate")[0].subject.get_attributes_for_oid(
            NameOID.COMMON_NAME
        )
        return str(names[-1].value) if names else ""


def source_of(given: Mapping[str, Any]) -> str:
    """Which of the three ways to say it was chosen; raises SettingsError for none and for several."""
    chosen = [name for name in ("url", "receiver_directory", "kubeconfig") if given.get(name)]
    if not chosen:
        raise refusal("url", "not set, and the webhook is among apiserver_audit_backends", "say where events go")
    if len(chosen) > 1:
        raise refusal(chosen[1], f"set together with {PREFIX}{chosen[0]}", "leave one of them")
    if chosen[0] != "url":
        for name in (*_TYPED, *(_PERMITS if chosen[0] == "receiver_directory" else ())):
            if given.get(name):
                raise refusal(name, f"{PREFIX}{chosen[0]} says that already", "take one of them out")
    return chosen[0]


def from_variables(given: Mapping[str, Any], api_server: str, now: datetime) -> Webhook:
    """The typed variables, without their prefix, files already read; raises SettingsError."""
    target = read_url(str(given["url"]), api_server, "url", bool(given.get("allow_http")))
    made = Webhook(
        target,
        authority=str(given.get("ca") or ""),
        certificate=str(given.get("client_certificate") or ""),
        key=str(given.get("client_key") or ""),
        token=str(given.get("token") or "").strip(),
        insecure=bool(given.get("insecure_skip_tls_verify")),
        addresses=pinned(given, target),
    )
    check(made, now)
    return made


def from_receiver(given: Mapping[str, Any], tree: Mapping[str, str], api_server: str, now: datetime) -> Webhook:
    """What the role audit_receiver made for this API server; tree: the text files of its directory by their names."""
    directory, side = given["receiver_directory"], f"api-servers/{api_server}/webhook"
    files = ("receivers/ca.crt", f"{side}.yaml", f"{side}.crt", f"{side}.key")
    for name in files:
        if name not in tree:
            raise refusal(
                "receiver_directory", f"{directory} has no {name}", "run kaudit.k8s.receiver with this inventory"
            )
    authority, config, certificate, key = (tree[name] for name in files)
    try:
        url = str(yaml.safe_load(config)["clusters"][0]["cluster"]["server"])
        hosts = yaml.safe_load(tree["api-servers.json"])["api_servers"][api_server]["hosts"]
    except (yaml.YAMLError, KeyError, IndexError, TypeError):
        raise refusal(
            "receiver_directory",
            f"{directory}/{side}.yaml or api-servers.json can't be read",
            "run kaudit.k8s.receiver",
        ) from None
    target = read_url(url, api_server, "receiver_directory", False)
    addresses = given.get("address") or [line.split()[0] for line in hosts]
    made = Webhook(target, authority, certificate, key, addresses=pinned({**given, "address": addresses}, target))
    check(made, now)
    return made


def check(webhook: Webhook, now: datetime) -> None:
    """Refuse what an API server would not start with, or what can't be right; raises SettingsError."""
    secret = webhook.certificate or webhook.key or webhook.token
    if not webhook.target.encrypted and (webhook.authority or webhook.insecure or secret):
        raise refusal("url", "without TLS nobody can prove anything", "write https, or take CA, certificate, token out")
    if webhook.authority and webhook.insecure:
        raise refusal(
            "insecure_skip_tls_verify", "set together with a CA", "an API server starts with one of them only"
        )
    if webhook.authority:
        for certificate in certificates(webhook.authority, "ca"):
            _check_end(certificate, "ca", now)
    if bool(webhook.certificate) != bool(webhook.key):
        missing = "client_key" if webhook.certificate else "client_certificate"
        raise refusal(missing, "not set, and its counterpart is", "give both or neither")
    if webhook.token and webhook.certificate:
        raise refusal("token", "set together with a client certificate", "leave one of them")
    if webhook.token and not _TOKEN.fullmatch(webhook.token):
        raise refusal("token", "has blanks or signs that no header can carry", "write the bare token")
    if webhook.certificate:
        _check_pair(webhook.certificate, webhook.key, now)


def _check_pair(certificate: str, key: str, now: datetime) -> None:
    leaf = certificates(certificate, "client_certificate")[0]
    _check_end(leaf, "client_certificate", now)
    try:
        found = load_pem_private_key(key.encode(), None).public_key()
    except (ValueError, TypeError):
        raise refusal("client_key", "no private key in PEM, or one with a password", "give a bare one") from None
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if found.public_bytes(*form) != leaf.public_key().public_bytes(*form):
        raise refusal("client_key", f"does not belong to {PREFIX}client_certificate", "give its own key")


def _check_end(certificate: Certificate, variable: str, now: datetime) -> None:
    if end_of(certificate) <= now:
        raise refusal(variable, f"expired on {end_of(certificate):%Y-%m-%d}", "give a new one")


def certificates(text: str, variable: str) -> list[Certificate]:
    """The certificates in a PEM text, at least one; raises SettingsError."""
    try:
        return load_pem_x509_certificates(text.encode())
    except ValueError:
        raise refusal(variable, "no certificate in PEM", "give its text, or a file on the controller") from None


def rendered(webhook: Webhook) -> str:
    """A kubeconfig with everything in it, so that one file is written, kept and compared."""
    cluster: dict[str, Any] = {"server": webhook.target.url}
    if webhook.authority:
        cluster["certificate-authority-data"] = _data(webhook.authority)
    if webhook.insecure:
        cluster["insecure-skip-tls-verify"] = True
    user = {"token": webhook.token} if webhook.token else {}
    if webhook.certificate:
        user = {"client-certificate-data": _data(webhook.certificate), "client-key-data": _data(webhook.key)}
    value = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "audit-webhook", "cluster": cluster}],
        "users": [{"name": "kube-apiserver", "user": user}],
        "contexts": [{"name": "audit-webhook", "context": {"cluster": "audit-webhook", "user": "kube-apiserver"}}],
        "current-context": "audit-webhook",
    }
    return HEADER + yaml.safe_dump(value, sort_keys=False, width=2**31)


def _data(text: str) -> str:
    return b64encode(text.encode()).decode()


def notes(webhook: Webhook, now: datetime) -> list[str]:
    """What the operator is to be told, although nothing is refused."""
    made = []
    if webhook.insecure:
        made.append(
            f"{PREFIX}insecure_skip_tls_verify: whoever answers at {webhook.target.url} gets every event, with its"
            " bodies, and can pretend to have stored it; give the receiver's CA instead"
        )
    if not webhook.target.encrypted:
        made.append(f"{PREFIX}allow_http: events go to {webhook.target.url} in the clear")
    elif not (webhook.authority or webhook.insecure):
        made.append(
            f"{PREFIX}ca: not given, so the receiver is trusted by the CAs in the API server's image and in /etc/ssl"
        )
    for variable, text in (("client_certificate", webhook.certificate), ("ca", webhook.authority)):
        for certificate in certificates(text, variable)[:1] if text else []:
            if end_of(certificate) - now <= SOON:
                made.append(f"{PREFIX}{variable}: expires on {end_of(certificate):%Y-%m-%d}; renew it, run enable.yml")
    return made


def counted_as(webhook: Webhook) -> Sequence[str]:
    """The names under which a receiver of ours may count this API server: by its path, or by its certificate."""
    named = webhook.target.path.removeprefix(DEFAULT_PATH).strip("/")
    return [name for name in dict.fromkeys((named, quote(webhook.client, safe=""))) if name]
