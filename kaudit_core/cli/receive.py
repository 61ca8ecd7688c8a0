"""`kaudit receive`."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kaudit_core.cli.loading import complain

if TYPE_CHECKING:
    from kaudit_core.receiver.settings import ServiceSettings, SpoolSettings

_UNITS = {"": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_SPANS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def add_commands(commands: Any) -> None:
    """Add `receive`."""
    parser = commands.add_parser(
        "receive",
        help="take events from API servers' webhook backends and keep them",
        description=(
            "Take event lists at /reportAuditEvent and /reportAuditEvent/<api-server>; 200: they are synced.\n"
            "Events go to SPOOL/segments/<api-server>/, one a line: `kaudit verify` reads that directory.\n"
            "/healthz, /readyz and /metrics are on the same port. SIGTERM: finish, sync, close.\n"
            "Exit code 0: stopped; 1: the writer failed; 2: usage, or it can't start."
        ),
        epilog=(
            "examples:\n"
            "  kaudit receive --spool /var/lib/kaudit/spool --certificate tls.crt --key tls.key --client-ca ca.crt\n"
            "  kaudit receive --spool spool --certificate tls.crt --key tls.key --token-file tokens\n"
            "  kaudit receive --spool spool --listen 127.0.0.1:8080 --plain-http\n"
            "  kaudit verify --policy policy.yaml spool/segments/master-1/"
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--spool", required=True, type=Path, metavar="DIR", help="where events are kept")
    parser.add_argument(
        "--listen", default="0.0.0.0:8443", type=_address, metavar="HOST:PORT", help="default: %(default)s"
    )
    _add_access(parser.add_argument_group("who may send"))
    _add_limits(parser.add_argument_group("limits; sizes as 512MiB, times as 90s, 10m, 12h, 30d"))
    _add_retention(parser.add_argument_group("deletion of closed segments; without these, nothing is deleted"))
    parser.set_defaults(run=run)


def _add_access(group: Any) -> None:
    group.add_argument("--certificate", type=Path, metavar="PEM", help="the receiver's certificate chain")
    group.add_argument("--key", type=Path, metavar="PEM", help="its private key")
    group.add_argument("--client-ca", type=Path, metavar="PEM", help="mutual TLS: the authority of client certificates")
    group.add_argument("--token-file", type=Path, metavar="FILE", help="bearer tokens, one a line")
    group.add_argument(
        "--plain-http", action="store_true", help="no TLS: events, and the token, can be read on the way"
    )
    group.add_argument(
        "--identity",
        choices=("path", "certificate"),
        default="path",
        help="what names the API server: /reportAuditEvent/<api-server>, or its certificate (default: %(default)s)",
    )


def _add_limits(group: Any) -> None:
    group.add_argument(
        "--max-body", type=_size, default="32MiB", metavar="SIZE", help="of a batch (default: %(default)s)"
    )
    group.add_argument(
        "--max-pending",
        type=_size,
        default="128MiB",
        metavar="SIZE",
        help="of all batches in memory (default: %(default)s)",
    )
    group.add_argument(
        "--body-time", type=_span, default="30s", metavar="TIME", help="for a batch to arrive (default: %(default)s)"
    )
    group.add_argument("--max-connections", type=_number, default=512, metavar="N", help="default: %(default)s")
    group.add_argument("--segment-size", type=_size, default="128MiB", metavar="SIZE", help="default: %(default)s")
    group.add_argument("--segment-age", type=_span, default="1h", metavar="TIME", help="default: %(default)s")
    group.add_argument("--spool-limit", type=_size, metavar="SIZE", help="of all segments (default: only the disk's)")
    group.add_argument(
        "--disk-reserve",
        type=_size,
        default="512MiB",
        metavar="SIZE",
        help="stays free on the disk (default: %(default)s)",
    )
    group.add_argument(
        "--window-events", type=_number, default=500_000, metavar="N",
        help="events that are known again when a batch is retried (default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--window-time", type=_span, default="10m", metavar="TIME", help="for how long (default: %(default)s)"
    )


def _add_retention(group: Any) -> None:
    group.add_argument("--keep-time", type=_span, metavar="TIME", help="delete what is older")
    group.add_argument("--keep-size", type=_size, metavar="SIZE", help="delete the oldest beyond this")
    group.add_argument("--sink", action="append", default=[], metavar="NAME", help="must have taken a segment first")
    group.add_argument("--delete-untaken", action="store_true", help="delete what no sink has taken, too")


def _size(text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,15})(|[KMGT]iB)", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size: write 1048576, 64MiB or 2GiB")
    return int(found[1]) * _UNITS[found[2]]


def _span(text: str) -> float:
    found = re.fullmatch(r"([0-9]{1,9})([smhd])", text)
    if not found or not int(found[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is not a time: write 90s, 10m, 12h or 30d")
    return float(int(found[1]) * _SPANS[found[2]])


def _number(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text) or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return int(text)


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT, for example 0.0.0.0:8443 or [::]:8443")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _usage_problem(given: argparse.Namespace) -> str | None:
    """Arguments that contradict each other, in words; None when they don't."""
    if given.plain_http and (given.certificate or given.key or given.client_ca):
        return "--plain-http and certificates exclude each other"
    if not given.plain_http and not (given.certificate and given.key):
        return "--certificate and --key are needed, or --plain-http by name"
    if given.identity == "certificate" and not given.client_ca:
        return "--identity certificate needs --client-ca: nothing else proves a certificate"
    if given.max_pending < given.max_body:
        return "--max-pending is smaller than --max-body"
    if (given.sink or given.delete_untaken) and not (given.keep_time or given.keep_size):
        return "--sink and --delete-untaken say what --keep-time and --keep-size may delete: give one of these"
    return None


def _service(given: argparse.Namespace) -> ServiceSettings:
    from kaudit_core.receiver.settings import ServiceSettings, TlsSettings

    return ServiceSettings(
        host=given.listen[0],
        port=given.listen[1],
        tls=None if given.plain_http else TlsSettings(given.certificate, given.key, given.client_ca),
        tokens=given.token_file,
        identity=given.identity,
        body_bytes=given.max_body,
        pending_bytes=given.max_pending,
        connections=given.max_connections,
        body_seconds=given.body_time,
        stop_seconds=given.body_time + 5,
    )


def _storage(given: argparse.Namespace) -> SpoolSettings:
    from kaudit_core.receiver.settings import Retention, SpoolSettings

    return SpoolSettings(
        directory=given.spool,
        segment_bytes=given.segment_size,
        segment_seconds=given.segment_age,
        limit=given.spool_limit,
        reserve=given.disk_reserve,
        window_events=given.window_events,
        window_seconds=given.window_time,
        retention=Retention(given.keep_time, given.keep_size, tuple(given.sink), given.delete_untaken),
    )


def _say(sentence: str) -> None:
    complain(sentence)
    sys.stderr.flush()


def run(arguments: argparse.Namespace) -> int:
    """Receive until stopped."""
    if problem := _usage_problem(arguments):
        complain(problem)
        return 2
    try:
        from kaudit_core.receiver.service import ServiceError, serve
    except ModuleNotFoundError as error:
        complain(f"{error.name} is not installed: pip install 'kaudit[receive]'")
        return 2
    if not arguments.client_ca and not arguments.token_file:
        complain("warning: whoever reaches this port can write events: use --client-ca or --token-file")
    try:
        return serve(_service(arguments), _storage(arguments), _say)
    except ServiceError as error:
        complain(str(error))
    except OSError as error:
        complain(f"{arguments.spool}: can't be used: {error.strerror or error}")
    return 2
