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


def certificates() -> dict[str, datetime]:
    """Until when each certificate of this installation is good: seal, authority, history.

    Raises UnusableKey when the seal's cannot be read.
    """
    from cryptography import x509

    authority = installation.current().authority
    described = authority.describe()
    audit_until = x509.load_pem_x509_certificate(authority.audit_pem).not_valid_after_utc
    found: dict[str, datetime] = {"seal": described["not_after"], "audit": audit_until}
    if not authority.own_certificate:
        found["authority"] = described["ca_not_after"]
    return found
