"""The API server's own count of events, as its metrics have it."""

from __future__ import annotations

from kaudit_core.provisioning.server_counters import audit_counters

METRICS = """\
# HELP apiserver_audit_error_total [BETA] Counter of audit events that failed to be audited properly.
# TYPE apiserver_audit_error_total counter
apiserver_audit_error_total{plugin="buffered"} 3
apiserver_audit_error_total{plugin="webhook"} 1.2e+06
# TYPE apiserver_audit_event_total counter
apiserver_audit_event_total 1204
apiserver_audit_level_total{level="Metadata"} 7
apiserver_audit_requests_rejected_total 0
"""


def test_every_backends_losses_are_counted() -> None:
    """Whatever it is called; other counters are not."""
    assert {"events": 1204, "errors": 1_200_003} == audit_counters(METRICS)


def test_a_server_that_has_lost_none_has_no_such_line() -> None:
    assert {"events": 0, "errors": 0} == audit_counters("# nothing\n")
