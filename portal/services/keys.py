"""The keys of this installation, as its admin page shows them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from portal.services import installation

WARN_BEFORE = timedelta(days=90)


def overview(now: datetime) -> dict[str, Any]:
    """The sealing certificate with fingerprint and expiry, and which secrets are set.

    `expires_soon` is true within 90 days of the end.
    """
    opened = installation.current()
    seal = opened.authority.describe()
    return seal | {
        "expires_soon": seal["not_after"] - now < WARN_BEFORE,
        "encryption_keys": len(opened.settings.encryption_keys),
        "timestamps": opened.settings.tsa_url,
        "key_folder": str(opened.settings.key_dir),
    }
