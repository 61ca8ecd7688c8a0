"""Who may send events, and under which name: certificates, tokens, and what is renewed while running."""

from __future__ import annotations

import os
import shutil
import ssl
from collections.abc import Iterator
from datetime import timedelta
from http.client import HTTPException
from pathlib import Path

import pytest

from kaudit_core.receiver.access import Tokens
from tests.receiver.batches import body, event, lines
from tests.receiver.certificates import Authority
from tests.receiver.running import Running, client_tls, wait_until

EXPIRED = timedelta(days=-1)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


class Pki:
    """An authority for both sides, another one nobody trusts, and certificates of either."""

    def __init__(self, directory: Path) -> None:
        self.authority = Authority(directory, "authority")
        self.receiver = self.authority.issue("receiver")
        self.master = self.authority.issue("master-1")
        self.expired = self.authority.issue("master-1", EXPIRED, "expired")
        self.stranger = Authority(directory, "stranger").issue("master-1", file="forged")

    def options(self, *more: str) -> list[str]:
        certificate, key = map(str, self.receiver)
        return ["--certificate", certificate, "--key", key, *more]

    def client(self, certificate: tuple[Path, Path] | None = None) -> ssl.SSLContext:
        return client_tls(self.authority.path, certificate)


@pytest.fixture
def mutual(tmp_path: Path, pki: Pki) -> Iterator[Running]:
    """A receiver that asks for client certificates and names API servers by them."""
    options = pki.options("--client-ca", str(pki.authority.path), "--identity", "certificate")
    with Running(tmp_path / "spool", *options, tls=pki.client(pki.master)) as started:
        yield started


def test_a_certificate_names_the_api_server(mutual: Running) -> None:
    """Whether the path says the same or nothing."""
    codes = [mutual.post(body([event(number)]), name)[0] for number, name in enumerate(["", "master-1"])]

    assert [200, 200] == codes
    assert [event(0), event(1)] == lines(mutual.log.with_suffix(""))


def test_another_name_than_the_certificates_is_refused(mutual: Running) -> None:
    """One API server can't write into another one's log."""
    assert 403 == mutual.post(body([event(1)]), "master-2")[0]
    assert [] == lines(mutual.log.with_suffix(""), "master-2")


def test_without_a_certificate_only_health_is_told(mutual: Running, pki: Pki) -> None:
    """A kubelet has no certificate to show, and no events."""
    mutual.tls = pki.client()

    assert [200, 200, 200] == [mutual.get(path)[0] for path in ("/healthz", "/readyz", "/metrics")]
    assert 401 == mutual.post(body([event(1)]))[0]


@pytest.mark.parametrize("which", ["expired", "stranger"])
def test_a_bad_certificate_has_no_connection(mutual: Running, pki: Pki, which: str) -> None:
    """One that has expired, or that nobody trusted has signed."""
    mutual.tls = pki.client(getattr(pki, which))

    with pytest.raises((OSError, HTTPException)):
        mutual.post(body([event(1)]))
    assert [] == lines(mutual.log.with_suffix(""))


def test_plain_http_has_no_answer_from_tls(mutual: Running) -> None:
    """The port speaks TLS only."""
    mutual.tls = None

    with pytest.raises((OSError, HTTPException)):
        mutual.get("/healthz")


def test_a_renewed_certificate_is_taken_while_running(tmp_path: Path, pki: Pki) -> None:
    """New connections see it; one that can't be read changes nothing."""
    paths = tmp_path / "tls.crt", tmp_path / "tls.key"
    for old, path in zip(pki.authority.issue("old", EXPIRED), paths, strict=True):
        shutil.copy(old, path)
    options = ["--certificate", str(paths[0]), "--key", str(paths[1])]
    with Running(tmp_path / "spool", *options, tls=pki.client()) as running:
        with pytest.raises(ssl.SSLCertVerificationError):
            running.get("/healthz")
        for new, path in zip(pki.receiver, paths, strict=True):
            shutil.copy(new, tmp_path / "new")
            os.replace(tmp_path / "new", path)
        wait_until(lambda: "are in use" in running.said(), "the renewal")

        assert 200 == running.get("/healthz")[0]


def test_a_token_opens_the_door(tmp_path: Path) -> None:
    """Either of two while they change; nothing else does."""
    (tmp_path / "tokens").write_text("old-token\n\nnew-token\n")
    with Running(tmp_path / "spool", "--token-file", str(tmp_path / "tokens")) as running:
        data = body([event(1)])
        given = ["Bearer old-token", "bearer new-token", "Bearer other", "Basic old-token", "old-token", "Bearer "]
        codes = [running.post(data, Authorization=one)[0] for one in given]

        assert [200, 200, 401, 401, 401, 401] == codes
        assert 401 == running.post(data)[0]
        assert 200 == running.get("/healthz")[0]


def test_tokens_are_read_again(tmp_path: Path) -> None:
    """A file without a token is refused, and the old ones stay."""
    path = tmp_path / "tokens"
    path.write_text("one")
    tokens = Tokens(path)
    path.write_text("")
    with pytest.raises(ValueError, match="no token in this file"):
        tokens.reload()

    assert [True, False, False] == [tokens.accept(one) for one in (b"Bearer one", b"Bearer ", None)]
