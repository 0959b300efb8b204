"""One ZIP of all that proves a contract, and how anybody checks it without us.

Signed files as they are kept, texts as canonical bytes, this contract's part of the history, the
checker, and the steps in English and French. The same state gives the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from portal.i18n import gettext as _
from portal.i18n import use
from portal.models.audit import AuditDetail, AuditEvent
from portal.models.contracts import Contract, Document, RegisteredFile, Revision
from portal.services import audit, documents, lives, verification
from portal.services.documents import safe_name
from portal.settings import ROOT

SCHEMA = "countersign-evidence-package/1"
CHECKER = ROOT / "docs" / "check_package.py"
MADE_ON = (1980, 1, 1, 0, 0, 0)  # of every entry, so that the same state gives the same bytes
KINDS = {
    "executed": "executed",
    "notice_letter": "letter",
    "companion": "record",
    "vendor_evidence": "vendor",
}
# Whose personal details go out: what signers did. Notes between colleagues stay here.
TOLD = ("recipient.", "envelope.", "consent.", "letter.signed")
PRIVATE = ("note", "reason", "file_name")
EXPLANATIONS = {"en": "EXPLANATION.en.txt", "fr": "EXPLICATION.fr.txt"}


@dataclass
class Entry:
    """One file of the package."""

    name: str
    content: bytes
    kind: str
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


def build(contract: Contract) -> bytes:
    """The ZIP. Raises Damaged when a file in the store is not the one that was registered."""
    entries = list(gather(contract))
    entries += [Entry(name, explained(contract, entries, language), "explanation")
                for language, name in EXPLANATIONS.items()]  # fmt: skip
    manifest = {
        "schema": SCHEMA,
        "reference": contract.reference,
        "chain": contract.id,
        "files": [
            {"name": each.name, "kind": each.kind, "sha256": each.sha256, "size_bytes": len(each.content)}
            | each.more
            for each in entries
        ],
    }
    named = json.dumps(manifest, ensure_ascii=False, sort_keys=True, indent=1).encode() + b"\n"
    listed = [*entries, Entry("manifest.json", named, "manifest")]
    sums = "".join(f"{each.sha256}  {each.name}\n" for each in listed).encode()
    return zipped([*listed, Entry("SHA256SUMS", sums, "sums")])


def gather(contract: Contract) -> Iterator[Entry]:
    """Everything but the explanations and the manifest."""
    yield from of_contract(contract, "", {})
    for amendment in lives.amendments(contract, signed=True):
        yield from of_contract(amendment, f"amendments/{amendment.reference}/", {"of": amendment.reference})
    yield Entry("trail.jsonl", trail(contract), "trail")
    yield Entry("ca.pem", verification.own_ca(), "certificate")
    yield Entry("check.py", CHECKER.read_bytes(), "checker")


def of_contract(contract: Contract, folder: str, more: dict[str, Any]) -> Iterator[Entry]:
    taken: set[str] = set()
    for document in newest(contract):
        name = unique(f"{folder}signed/{safe_name(document.file_name)}", taken)
        row = RegisteredFile.get_or_none(RegisteredFile.sha256 == document.sha256)
        is_sealed = document.kind in ("notice_letter", "companion") or (
            row is not None and row.kind in ("executed", "sealed")
        )
        yield Entry(name, documents.read(document), KINDS[document.kind], {"sealed": is_sealed, **more})
    frozen = (Revision.contract == contract) & Revision.canonical.is_null(False)
    for revision in Revision.select().where(frozen).order_by(Revision.number):
        name = f"{folder}terms/revision-{revision.number}.json"
        yield Entry(name, bytes(revision.canonical or b""), "text", dict(more))


def newest(contract: Contract) -> list[Document]:
    """Each signed file in its last version, letters and records too."""
    found: dict[tuple[str, str | None], Document] = {}
    for document in documents.of(contract, *KINDS):
        key = (document.kind, document.envelope_id or document.id)
        found[key] = max(found.get(key, document), document, key=lambda each: each.version)
    return list(found.values())


def unique(name: str, taken: set[str]) -> str:
    stem, dot, suffix = name.rpartition(".")
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{stem}-{number}{dot}{suffix}"
    taken.add(found)
    return found


def trail(contract: Contract) -> bytes:
    """The contract's chain as JSON lines, as in an export of the whole history."""
    kept = {row.number: row for row in AuditDetail.select().where(AuditDetail.chain == contract.id)}
    lines = []
    for row in AuditEvent.select().where(AuditEvent.chain == contract.id).order_by(AuditEvent.number):
        detail = kept.get(row.number) if row.act.startswith(TOLD) else None
        values = {k: v for k, v in detail.values.items() if k not in PRIVATE} if detail else {}
        details = {"salt": detail.salt, "values": values} if detail and values else None
        lines.append(audit.encode({"body": row.body, "hash": row.hash, "details": details}) + "\n")
    return "".join(lines).encode()


def zipped(entries: list[Entry]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for each in entries:
            info = zipfile.ZipInfo(each.name, MADE_ON)
            info.external_attr = 0o644 << 16
            archive.writestr(info, each.content, zipfile.ZIP_DEFLATED)
    return made.getvalue()


# --- The explanation ----------------------------------------------------------------------------------


def explained(contract: Contract, entries: list[Entry], language: str) -> bytes:
    """What lies in the package and the exact steps, in one language."""
    with use(language):
        signed = [each for each in entries if each.kind in ("executed", "letter", "record")]
        said = [
            _("Evidence of contract %(reference)s", reference=contract.reference),
            "",
            _("This package holds the signed files, the texts they were made from, the history of the "
              "contract and a program that checks them. Nothing of it needs Countersign or a network: "
              "only Python 3, openssl and sha256sum."),
            "",
            _("What lies in it"),
            "  signed/        " + _("the signed files, byte for byte"),
            "  terms/         " + _("the texts as canonical JSON; their SHA-256 is what was signed for"),
            "  amendments/    " + _("the same of each signed amendment"),
            "  trail.jsonl    " + _("the history: each entry holds the fingerprint of the one before"),
            "  ca.pem         " + _("the certificate of the portal’s authority, for the company seal"),
            "  check.py       " + _("the checker"),
            "  manifest.json  " + _("every file with its SHA-256"),
            "",
            _("Step 1: no file was changed"),
            "  sha256sum -c SHA256SUMS",
            "",
            _("Step 2: history, texts, signed files and seals belong together"),
            "  python3 check.py",
            "",
            _("Step 3: the same, by a certificate you keep yourself"),
            "  " + _("Get the certificate of the portal from whoever runs it, or keep the one you were given "
                     "before. Compare its fingerprint by telephone:"),
            "  openssl x509 -in ca.pem -noout -fingerprint -sha256",
            "  python3 check.py --ca ca.pem",
            "",
            _("Signed files"),
            *(line for each in signed for line in about(each)),
        ]  # fmt: skip
    return "\n".join([*said, ""]).encode()


def about(entry: Entry) -> list[str]:
    """A signed file, what it is, and how its seal is looked at with one command."""
    words = {
        "executed": _("signed contract"),
        "letter": _("letter of notice"),
        "record": _("our sealed record of a contract signed at a provider"),
    }
    seal = _("under our company seal") if entry.more.get("sealed") else _("without our company seal")
    return [f"  {entry.name}", f"    {words[entry.kind]}, {seal}", f"    SHA-256 {entry.sha256}"]
