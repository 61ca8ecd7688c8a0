"""Taking auditing out of the files that start an API server: the bytes of before, unless others edited them since."""

from __future__ import annotations

from kaudit_core.provisioning import record
from kaudit_core.provisioning.host import Host
from kaudit_core.provisioning.intent import AuditIntent
from kaudit_core.provisioning.observed import HostRefused
from kaudit_core.provisioning.starting import Edits, Start


def without_auditing(host: Host, intent: AuditIntent) -> Edits:
    """Each file's original, if only kaudit changed it since; else the file without what is kaudit's."""
    now, made = host.start.texts, host.start.remove(intent)
    originals = {path: text for path, text in host.original_texts().items() if path in now}
    replayed = _replayed(host, originals, intent)
    if replayed is not None:
        made |= {path: text for path, text in originals.items() if now[path] == replayed.texts.get(path)}
    return {path: text for path, text in made.items() if text != now.get(path)}


def _replayed(host: Host, originals: Edits, intent: AuditIntent) -> Start | None:
    """What the originals would have become through every deployment since, None where that is no longer possible."""
    made, previous = host.start.changed(originals), AuditIntent()
    try:
        for each in [AuditIntent.from_json(entry["intent"]) for entry in record.since_disabled(host.entries)]:
            made, previous = made.changed(made.apply(each, previous)), each
        return made.changed(made.apply(intent, previous)) if host.unproven else made
    except HostRefused:
        return None
