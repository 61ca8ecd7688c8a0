# Runs on masters: the standard library and Python 3.8 must do.
"""The steps from an API server to a webhook receiver, one after the other; the first that fails has a name."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import tempfile
from typing import Any

EVENTS = b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[]}\n'
COUNTER = re.compile(r'^kaudit_receiver_accepted_total\{server="([^"]*)"\} (\d+)', re.MULTILINE)
LONGEST_ANSWER = 4 * 1024 * 1024


class Failed(Exception):
    """A step that failed: which, why, and what to do."""

    def __init__(self, step: str, problem: str, advice: str) -> None:
        super().__init__(problem)
        self.step, self.problem, self.advice = step, problem, advice


def one_line(text: object, most: int = 200) -> str:
    """What another side said, fit to be shown."""
    return "".join(letter if letter.isprintable() else " " for letter in str(text))[:most].strip()


def why_not(error: BaseException) -> str:
    """A broken connection, in words."""
    if isinstance(error, socket.timeout):
        return "no answer in time"
    return one_line(getattr(error, "strerror", None) or error) or "the connection was closed"


class Probe:
    """The steps to one address. given: the parameters of the module webhook_probe."""

    def __init__(self, given: Any, address: str) -> None:
        self.given, self.address = given, address
        self.where = f"{address} port {given['port']}"

    def run(self, context: ssl.SSLContext | None) -> int | None:
        """All steps from TCP on; what the receiver counted, none if it doesn't tell."""
        self.stream = self._connected()
        try:
            if context is not None:
                self.stream = self._secured(self.stream, context)
            connection = http.client.HTTPConnection(self.given["host"], self.given["port"])
            connection.sock, connection.auto_open = self.stream, 0
            self._post(connection)
            return self._accepted(connection) if self.given["counted_as"] else None
        finally:
            self.stream.close()

    def _connected(self) -> socket.socket:
        try:
            return socket.create_connection((self.address, self.given["port"]), self.given["timeout"])
        except OSError as error:
            advice = "start the receiver there, or open the way to it"
            raise Failed("TCP", f"{self.where} can't be connected to ({why_not(error)})", advice) from None

    def _secured(self, plain: socket.socket, context: ssl.SSLContext) -> socket.socket:
        name = self.given["server_name"] or self.given["host"]
        try:
            return context.wrap_socket(plain, server_hostname=name)
        except ssl.SSLCertVerificationError as error:
            advice = f"check apiserver_audit_webhook_ca, and that the receiver's certificate is for {name}"
            raise Failed("TLS", f"{self.where}: {one_line(error.verify_message or error)}", advice) from None
        except ssl.SSLError as error:
            if "ALERT" in str(error.reason):
                raise self._not_accepted(error.reason) from None
            said = "it does not speak TLS" if error.reason == "WRONG_VERSION_NUMBER" else one_line(error)
            raise Failed("TLS", f"{self.where}: {said}", "look at what listens there") from None
        except OSError as error:
            raise Failed("TLS", f"{self.where}: {why_not(error)}", "look at what listens there") from None

    def _post(self, connection: http.client.HTTPConnection) -> None:
        """Deliver an EventList; any answer that an API server takes for success will do."""
        status, text = self._answer(connection, "POST", self.given["path"], EVENTS)
        said = f"it answered {status} {one_line(text)}".strip()
        if status in (401, 403):
            raise self._not_accepted(said)
        if not 200 <= status <= 206:
            advice = f"check the URL's path {self.given['path']}, and the receiver's own log"
            raise Failed("post", f"{self.where}: {said}", advice)

    def _accepted(self, connection: http.client.HTTPConnection) -> int | None:
        try:
            status, text = self._answer(connection, "GET", "/metrics")
        except Failed:
            return None
        if status != 200 or "kaudit_receiver_" not in text:
            return None
        return sum(int(count) for server, count in COUNTER.findall(text) if server in self.given["counted_as"])

    def _answer(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None = None
    ) -> tuple[int, str]:
        headers = {"Content-Type": "application/json", "Accept": "application/json, */*", "User-Agent": "kaudit-probe"}
        if self.given["token"]:
            headers["Authorization"] = f"Bearer {self.given['token']}"
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            data = answer.read(LONGEST_ANSWER)
            if answer.length and len(data) < LONGEST_ANSWER:
                raise http.client.IncompleteRead(data, answer.length)
            return answer.status, data.decode("utf-8", "replace")
        except ssl.SSLError as error:
            raise self._not_accepted(error.reason) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._read_alert()
            if self.given["certificate"] and isinstance(error, ConnectionError):
                said = "it closed the connection without an answer, as one does that refuses a client certificate"
                raise self._not_accepted(said) from None
            raise Failed("post", f"{self.where}: {why_not(error)}", "look at the receiver's own log") from None

    def _read_alert(self) -> None:
        """A receiver that refuses a certificate says so after the handshake, perhaps while the request is sent."""
        try:
            self.stream.recv(1)
        except ssl.SSLError as error:
            raise self._not_accepted(error.reason) from None
        except (OSError, ValueError):
            return

    def _not_accepted(self, why: object) -> Failed:
        advice = "check the client certificate or token, and which the receiver asks for"
        return Failed("client", f"{self.where} does not accept this API server ({one_line(why)})", advice)


def tls_context(given: Any, folder: str) -> ssl.SSLContext:
    """As client-go's: TLS 1.2 or later, names only from the subject's alternative names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    if given["insecure"]:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        if given["ca"]:
            context.load_verify_locations(cadata=given["ca"])
        else:
            context.load_default_certs()
        if given["certificate"]:
            # The library reads them from a file only; nobody else can read it, and it is gone at once.
            with tempfile.NamedTemporaryFile(dir=folder) as file:
                file.write(f"{given['key']}\n{given['certificate']}\n".encode())
                file.flush()
                context.load_cert_chain(file.name)
    except (ssl.SSLError, ValueError) as error:
        said = f"a certificate or key can't be used: {one_line(error)}"
        raise Failed("TLS", said, "check apiserver_audit_webhook_ca and the client certificate") from None
    return context


def addresses_of(given: Any) -> list[str]:
    """Where to connect to."""
    if given["addresses"]:
        return list(given["addresses"])
    try:
        answers = socket.getaddrinfo(given["host"], given["port"], type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        said = f"{given['host']} can't be resolved on this host ({why_not(error)})"
        advice = "pin it with apiserver_audit_webhook_address or apiserver_audit_webhook_service"
        raise Failed("name", said, advice) from None
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


def probe_all(given: Any, folder: str) -> dict[str, Any]:
    """The module's result: an address that can't be connected to is no failure where another one can."""
    result: dict[str, Any] = {"step": "", "addresses": [], "accepted": None, "posted": False}
    counts: list[int | None] = []
    closed: Failed | None = None
    try:
        context = tls_context(given, folder) if given["tls"] else None
        for address in addresses_of(given):
            found = {"address": address, "step": "", "problem": ""}
            result["addresses"].append(found)
            try:
                counts.append(Probe(given, address).run(context))
            except Failed as failed:
                found.update(step=failed.step, problem=failed.problem)
                if failed.step != "TCP":
                    raise
                closed = closed or failed
        if closed is not None and not counts:
            raise closed
    except Failed as failed:
        msg = f"step {failed.step}: {failed.problem}; {failed.advice}"
        return {**result, "failed": True, "step": failed.step, "msg": msg}
    known = [count for count in counts if count is not None]
    accepted = sum(known) if len(known) == len(result["addresses"]) else None
    return {**result, "accepted": accepted, "posted": True}
