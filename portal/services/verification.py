"""Is this PDF one that was finished here, and is it unchanged?

Yes is said only for bytes whose SHA-256 is registered. The strict check of the file itself explains
a no: changed, longer, cut off, or never from here. Who signed is told from our own records, by
initials and surname, never from the document; and the document is never shown.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from portal.documents import children
from portal.errors import Invalid, Unavailable
from portal.i18n import format_date, lazy, machine_time
from portal.i18n import gettext as _
from portal.models.base import transaction
from portal.models.contracts import RegisteredFile
from portal.models.envelopes import Act, Envelope, Recipient
from portal.models.people import Person
from portal.services import audit, installation
from portal.services.audit import INSTALLATION, SYSTEM, Actor
from providers import registry

if TYPE_CHECKING:
    from portal.documents.verify import Verdict

LARGEST = 25 * 1000 * 1000
POOL = children.Pool(size=2, patience=5)
SECONDS, MEMORY_MB = 10, 512

DELETED = lazy("This file belonged to a contract that has been deleted here.")
NO_AUTHORITY = ("authority_missing",)
FOREIGN = {"authority_missing", "certificate_unknown"}
KINDS = {
    "executed": lazy("a finished contract"),
    "sealed": lazy("a file under our company seal"),
    "provider": lazy("the copy a signing provider gave us"),
    "given": lazy("a copy of a contract signed elsewhere"),
    "letter": lazy("a letter under our company seal"),
}
# From the weakest to the strongest.
# What was checked, the weakest first; the later ones also by an outside provider.
CHECKED_BY = {
    word: rank
    for rank, word in enumerate(
        ("told_code", "mail_code", "email_code", "link", "provider_mail", "access_code", "handed_code", "sms",
         "phone", "kba", "id_check", "totp", "certificate")
    )
}  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """What can be said of a file.

    `result` is "genuine", "altered" or "unknown"; `kind` is "executed", "sealed", "provider" or "given"
    (a copy of something signed elsewhere), or what the file is instead. `reasons` are sentences for a
    no. `still_holds` is when the file this one
    begins with was registered here.
    """

    result: str
    kind: str
    sha256: str
    size_bytes: int
    reasons: tuple[str, ...] = ()
    sealed_by: str = ""
    sealed_at: datetime | None = None
    fingerprint_sha256: str = ""
    shown_bytes: int = 0
    shown_sha256: str = ""
    timestamp_at: datetime | None = None
    timestamp_by: str = ""
    registered_at: datetime | None = None
    still_holds: datetime | None = None
    signatures: tuple[Signature, ...] = ()
    provider: str = ""  # through which outside provider it was signed
    provider_at: datetime | None = None  # when that was complete
    file: str = ""  # which file of it: executed | vendor_evidence | companion | brought
    given: str = ""  # by whom and when, of a copy that somebody gave us

    @property
    def valid(self) -> bool:
        return self.result == "genuine"


@dataclass(frozen=True)
class Signature:
    """One who signed: initials and surname, and the strongest of what was checked."""

    name: str
    organisation: str
    checked_by: str
    at: datetime


def look_at(content: bytes, ca: bytes | None = None, *, registered: bool = True) -> Answer:
    """Judge a file by this installation's register, or with `ca` (PEM) by the strict check alone.

    `registered` false means that there is no register here. Raises Unavailable when no child was
    free to look at the file.
    """
    digest = hashlib.sha256(content).hexdigest()
    row = RegisteredFile.get_or_none(RegisteredFile.sha256 == digest) if registered and ca is None else None
    verdict = checked(content, ca if ca is not None else own_ca() if registered else b"")
    if row is not None and row.facts.get("deleted"):
        return Answer("unknown", verdict.kind, digest, len(content), reasons=(str(DELETED),))
    if row is not None or (ca is not None and verdict.ok):
        return genuine(content, digest, verdict, row)
    origin = origin_of(content, verdict) if registered and ca is None else None
    claims = origin is not None or is_broken(verdict)
    return Answer(
        "altered" if claims else "unknown",
        verdict.kind,
        digest,
        len(content),
        reasons=why_not(verdict, registered=registered, ca_given=ca is not None),
        sealed_by=verdict.sealed_by if claims else "",
        sealed_at=verdict.sealed_at if claims else None,
        still_holds=origin.registered_at if origin else None,
    )


def is_broken(verdict: Verdict) -> bool:
    """Under a seal of ours, but not as it was sealed; under an unknown seal nothing is known."""
    ours = verdict.kind in ("sealed", "executed") and not FOREIGN & set(verdict.reasons)
    return ours and not verdict.ok


def genuine(content: bytes, digest: str, verdict: Verdict, row: RegisteredFile | None) -> Answer:
    said = verdict.timestamp
    return Answer(
        "genuine",
        row.kind if row else verdict.kind,
        digest,
        len(content),
        sealed_by=verdict.sealed_by,
        sealed_at=verdict.sealed_at,
        fingerprint_sha256=verdict.fingerprint_sha256,
        shown_bytes=verdict.shown_length,
        shown_sha256=verdict.shown_sha256,
        timestamp_at=said.at if said else None,
        timestamp_by=said.authority if said else "",
        registered_at=row.registered_at if row else None,
        signatures=signatures(row) if row else (),
        given=given(row),
        **through(row),
    )


def given(row: RegisteredFile | None) -> str:
    """Who gave us the copy of a contract that was signed elsewhere, and when; "" for other files."""
    if row is None or row.kind != "given":
        return ""
    giver = Person.get_or_none(Person.id == row.facts.get("given_by", ""))
    return _(
        "Registered copy, given to us by %(name)s on %(day)s. It was not signed here, and we have not "
        "checked who signed it.",
        name=short_name(giver.name) if giver else _("somebody"),
        day=format_date(row.registered_at),
    )


def through(row: RegisteredFile | None) -> dict[str, Any]:
    """The outside provider a registered file comes from, or is our record of."""
    name = row.facts.get("provider", "") if row else ""
    if row is None or not name:
        return {}
    at = row.facts.get("completed_at")
    label = registry.label(name) if name in registry.names() else name
    file = row.facts.get("file") or "brought"
    return {"provider": label, "provider_at": datetime.fromisoformat(at) if at else None, "file": file}


def said_of(file: str) -> str:
    """What a file of an outside provider is, for people."""
    words = {
        "executed": _("The file that was signed, as the provider gave it to us."),
        "vendor_evidence": _("The provider’s own certificate or audit file."),
        "companion": _("Our sealed record of a contract signed at a provider."),
        "brought": _("A file brought over from the provider’s archive."),
    }
    return words.get(file, "")


def why_not(verdict: Verdict, *, registered: bool, ca_given: bool) -> tuple[str, ...]:
    """The reasons for a no, in the reader's language."""
    if verdict.ok:
        return (_("Its seal is ours, but this very file is not registered here."),)
    if verdict.reasons == NO_AUTHORITY:
        return (_("There are no records here. Give the authority of the portal it comes from: --ca FILE."),)
    return tuple(verdict.sentences()) or (_("This file is not registered here."),)


def verify(content: bytes, ca: bytes | None = None, *, registered: bool = True) -> dict[str, Any]:
    """As `look_at`, as plain values for programs: times in ISO 8601, `valid` for the exit code."""
    found = look_at(content, ca, registered=registered)
    plain = json.loads(json.dumps(asdict(found), default=datetime.isoformat))
    return {"valid": found.valid, **plain}


def as_text(answer: dict[str, Any]) -> str:
    """The answer of `verify` for people at a terminal."""
    lines = {
        "genuine": _("Genuine and unchanged."),
        "altered": _("Altered after it was sealed. Do not rely on this file."),
        "unknown": _("Not a file from here."),
    }
    said = [lines[answer["result"]], *answer["reasons"]]
    if answer["valid"]:
        said.append(_("Kind: %(kind)s", kind=KINDS.get(answer["kind"], answer["kind"])))
        if answer["provider"]:
            at = to_the_second(answer["provider_at"]) if answer["provider_at"] else ""
            said.append(
                _("Signed through %(provider)s, %(at)s", provider=answer["provider"], at=at).rstrip(", ")
            )
            said.append(said_of(answer["file"]))
            said.append(_("Identical, byte for byte, to the file in our record."))
        if answer["given"]:
            said.append(answer["given"])
        if answer["sealed_by"]:
            at = to_the_second(answer["sealed_at"] or answer["registered_at"])
            said.append(_("Sealed by %(company)s, %(at)s", company=answer["sealed_by"], at=at))
            said.append(trusted_by(answer))
        if answer["timestamp_at"]:
            at = to_the_second(answer["timestamp_at"])
            said.append(_("Time confirmed by %(authority)s, %(at)s", authority=answer["timestamp_by"], at=at))
    for signed in answer["signatures"]:
        who = f"{signed['name']}, {signed['organisation']}".rstrip(", ")
        said.append(_("Signed by %(who)s, %(at)s", who=who, at=to_the_second(signed["at"])))
    if answer["still_holds"]:
        at = to_the_second(answer["still_holds"])
        said.append(_("The part before the change matches a file finished here on %(at)s.", at=at))
    return "\n".join([*said, f"SHA-256 {answer['sha256']}"])


def to_the_second(at: str) -> str:
    return machine_time(datetime.fromisoformat(at))


def trusted_by(answer: dict[str, Any]) -> str:
    """Whose word stands behind the key of the seal."""
    fingerprint = answer["fingerprint_sha256"]
    if answer["registered_at"]:
        return _(
            "Its key is certified by the authority of this installation; certificate SHA-256 %(fingerprint)s",
            fingerprint=fingerprint,
        )
    return _(
        "Its key is certified by the authority you gave with --ca; certificate SHA-256 %(fingerprint)s",
        fingerprint=fingerprint,
    )


def own_ca() -> bytes:
    """Our own authority's certificates; empty before there are any.

    Read as files where they are files: a web process has no business with the key beside them.
    """
    settings = installation.current().settings
    if settings.seal_p12 is not None:
        return bytes(installation.current().authority.bundle)
    files = (settings.authority_dir / "ca.pem", settings.authority_dir / "timestamps.pem")
    return b"".join(path.read_bytes() for path in files if path.is_file())


def checked(content: bytes, ca: bytes) -> Verdict:
    """The strict check in a child of its own, since the file is a stranger's."""
    from portal.documents import verify as judge  # only who checks a file loads what reads certificates

    files = {"pdf": content, **({"ca": ca} if ca else {})}
    try:
        result = POOL.run("verify", {}, files=files, seconds=SECONDS, memory_mb=MEMORY_MB)
    except children.Busy as error:
        raise Unavailable(_("Many files are being checked now. Try again in a minute.")) from error
    except children.ChildFailed:
        return judge.Verdict(False, "foreign", ("not_ours",))
    return judge.from_values(result.values)


def origin_of(content: bytes, verdict: Verdict) -> RegisteredFile | None:
    """The registered file that this one begins with, when bytes were added behind it."""
    for length in sorted({verdict.covered, len(content) - verdict.added_bytes}):
        if 0 < length < len(content):
            start = hashlib.sha256(memoryview(content)[:length]).hexdigest()
            found: RegisteredFile | None = RegisteredFile.get_or_none(RegisteredFile.sha256 == start)
            if found is not None:
                return found
    return None


# --- Who signed, from our records -------------------------------------------------------------


def signatures(registered: RegisteredFile) -> tuple[Signature, ...]:
    """Each who signed, in time order."""
    envelope = Envelope.get_or_none(Envelope.id == (registered.envelope_id or ""))
    if envelope is None:
        return ()
    rows = (
        Act.select(Act, Recipient)
        .join(Recipient)
        .where((Act.envelope == envelope) & (Act.kind == "sign"))
        .order_by(Act.at)
    )
    return tuple(
        Signature(
            short_name(act.name or act.recipient.name),
            act.recipient.organisation,
            strongest(act.factors),
            act.at,
        )
        for act in rows
    )


def short_name(name: str) -> str:
    """`Claire Marie Aubert` as `C. M. Aubert`."""
    *given, surname = name.split() or [""]
    return " ".join([*(f"{part[0]}." for part in given), surname])


def strongest(factors: list[Any]) -> str:
    """The strongest of what was checked, as a word of `CHECKED_BY`."""
    words = [each["factor"] if isinstance(each, dict) else str(each) for each in factors]
    known = [word for word in words if word in CHECKED_BY]
    return max(known, key=lambda word: CHECKED_BY[word], default="link")


# --- Sealing a file by hand ---------------------------------------------------------------------


@dataclass(frozen=True)
class SealedFile:
    """A sealed PDF; `level` is "B-B", or "B-LT" with an outside time.

    `removed` says in sentences what intake took out, `had_signatures` whose signatures were lost by it.
    """

    pdf: bytes
    sha256: str
    level: str
    removed: tuple[str, ...] = ()
    had_signatures: tuple[str, ...] = ()


def seal_file(content: bytes, *, now: datetime, by: Actor = SYSTEM) -> SealedFile:
    """A PDF taken in, sealed with this installation's key, and registered by its SHA-256.

    Raises Invalid with the reason when intake refuses the file, Unsealable when it cannot carry a seal.
    """
    from portal.documents import intake, seal, timestamps
    from portal.services import sealing

    try:
        admitted = intake.admit(content)
    except children.Refused as refused:
        raise Invalid({"file": intake.refusal_sentence(refused.code, refused.params)}) from refused
    authority, tsa = installation.current().authority, sealing.timestamp_authority()
    reason = _("Sealed by %(company)s", company=authority.organisation)
    if tsa is None:
        pdf, level = seal.seal(admitted.pdf, authority, now=now, reason=reason), "B-B"
    else:
        made = timestamps.seal_with_timestamps(admitted.pdf, authority, tsa, now, reason=reason)
        sealing.trust(made.timestamp)
        pdf, level = made.pdf, "B-B" if made.incomplete else "B-LT"
    with transaction():
        digest = register(pdf, by=by, now=now)
    removed = tuple(intake.removal_sentence(code) for code in admitted.removed)
    return SealedFile(pdf, digest, level, removed, tuple(admitted.had_signatures))


def register(content: bytes, *, by: Actor, now: datetime) -> str:
    """Enter a file sealed by hand, inside the caller's transaction; returns its SHA-256."""
    digest = hashlib.sha256(content).hexdigest()
    RegisteredFile.insert(
        sha256=digest, kind="sealed", facts={}, registered_at=now
    ).on_conflict_ignore().execute()
    audit.append(
        "file.sealed", ("file", digest), chain=INSTALLATION, by=by, now=now,
        facts={"sha256": digest, "size_bytes": len(content)},
    )  # fmt: skip
    return digest
