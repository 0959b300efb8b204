"""Layouts and files that the tests of documents share."""

from __future__ import annotations

import base64
from typing import Any

from portal.documents import labels, markdown
from portal.documents.layouts import CertificateData, ContractLayout, SignaturePageLayout

FROZEN_AT = "2026-11-02T09:30:00+00:00"
LOGO = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="96" height="24"><rect width="24" height="24" rx="5"'
    ' fill="#16382f"/><path d="M7 6v12h10" stroke="#fff" stroke-width="3" fill="none"/></svg>'
)

CLAUSES: list[dict[str, Any]] = [
    {"key": "purpose", "level": 1, "heading": ("Purpose", "Objet"), "text": ("", "")},
    {
        "key": "purpose-scope",
        "level": 2,
        "heading": None,
        "text": (
            "The Supplier supports the software named in Schedule A so that the {{customer}} can prepare,"
            " price and send quotes without interruption.",
            "Le Fournisseur assure le support du logiciel désigné à l'annexe A afin que le {{customer}}"
            " puisse préparer, chiffrer et envoyer ses devis sans interruption.",
        ),
    },
    {
        "key": "purpose-words",
        "level": 2,
        "heading": None,
        "text": (
            "Words with a capital letter have the meaning given in clause [[meanings]].",
            "Les termes commençant par une majuscule ont le sens donné à l'article [[meanings]].",
        ),
    },
    {"key": "meanings", "level": 1, "heading": ("Meanings", "Définitions"), "text": ("", "")},
    {
        "key": "meaning-answer",
        "level": 2,
        "heading": None,
        "text": (
            "“**Answer**” means that a qualified person has read the report, has confirmed its Severity and"
            " has told the Customer what happens next. An automatic reply is not an Answer.",
            "« **Réponse** » : une personne qualifiée a lu le signalement, en a confirmé la Gravité et a dit"
            " au Client ce qui suit. Un accusé automatique n'est pas une Réponse.",
        ),
    },
    {
        "key": "meaning-fix",
        "level": 2,
        "heading": None,
        "text": (
            "“**Fix**” means that the Software works again as described:\n\n1. by a correction, or\n2. by a"
            " *workaround* that the Customer can live with until the lasting correction.",
            "« **Résolution** » : le Logiciel fonctionne de nouveau comme décrit :\n\n1. par une correction,"
            " ou\n2. par un *contournement* acceptable jusqu'à la correction définitive.",
        ),
    },
    {"key": "times", "level": 1, "heading": ("Times", "Délais"), "text": ("", "")},
    {
        "key": "times-table",
        "level": 2,
        "heading": None,
        "text": (
            "The Supplier answers and fixes within these times, counted from the report:\n\n"
            "| Severity | Answered within | Fixed within | Clock runs |\n|---|---|---|---|\n"
            "| S1 Critical | 30 minutes | 4 hours | day and night |\n"
            "| S2 Major | 2 hours | 1 service day | Service Hours |\n"
            "| S3 Minor | 1 service day | next monthly release | Service Hours |",
            "Le Fournisseur répond et résout dans les délais suivants, comptés du signalement :\n\n"
            "| Gravité | Réponse sous | Résolution sous | Décompte |\n|---|---|---|---|\n"
            "| S1 Critique | 30 minutes | 4 heures | jour et nuit |\n"
            "| S2 Majeure | 2 heures | 1 jour ouvré | heures de service |\n"
            "| S3 Mineure | 1 jour ouvré | version mensuelle suivante | heures de service |",
        ),
    },
    {
        "key": "times-pause",
        "level": 2,
        "heading": None,
        "text": (
            "The clock stops while the Supplier waits for information that only the Customer has, if it has"
            " asked for it in writing; see [the portal](https://support.larkfield.example/status).",
            "Le décompte s'arrête tant que le Fournisseur attend une information que seul le Client détient,"
            " s'il l'a demandée par écrit ; voir [le portail](https://support.larkfield.example/status).",
        ),
    },
    {"key": "fees", "level": 1, "heading": ("Fees", "Prix"), "text": ("", "")},
    {
        "key": "fees-sum",
        "level": 2,
        "heading": ("Yearly fee", "Redevance annuelle"),
        "text": ("The fee is stated in Schedule B.", "La redevance figure à l'annexe B."),
    },
]
VARIABLES = {"en": {"customer": "Customer"}, "fr": {"customer": "Client"}}


def contract(
    *languages: str, clauses: list[dict[str, Any]] | None = None, repeat: int = 1, **changes: Any
) -> ContractLayout:
    """A support contract as a service would lay it out, `repeat` times as long."""
    languages = languages or ("en",)
    written = [
        {**clause, "key": f"{clause['key']}-{turn}" if turn else clause["key"]}
        for turn in range(repeat)
        for clause in (clauses or CLAUSES)
    ]
    numbered = markdown.number_clauses(written)
    numbers = {clause["key"]: clause["number"] for clause in numbered}
    layout: ContractLayout = {
        "language": languages[0],
        "languages": list(languages),
        "prevailing": "en" if len(languages) > 1 else None,
        "title": "Support agreement" if languages[0] == "en" else "Contrat de support",
        "titles": {"en": "Support agreement", "fr": "Contrat de support"},
        "reference": "LF-2026-0147",
        "revision": 5,
        "frozen_at": FROZEN_AT,
        "draft": False,
        "labels": {language: labels.for_contract(language) for language in languages},
        "parties": parties(),
        "clauses": [
            {
                "key": clause["key"],
                "number": clause["number"],
                "heading": _by(languages, clause["heading"]) if clause["heading"] else None,
                "blocks": {
                    language: markdown.blocks(text, VARIABLES[language], numbers)
                    for language, text in _by(languages, clause["text"]).items()
                },
            }
            for clause in numbered
        ],
        "schedules": schedules(languages),
        "signatures": signers(),
    }
    layout.update(changes)  # type: ignore[typeddict-item]
    return layout


def _by(languages: tuple[str, ...], pair: tuple[str, str]) -> dict[str, str]:
    return {language: pair[("en", "fr").index(language)] for language in languages}


def parties() -> list[Any]:
    return [
        {
            "name": "Larkfield Software Ltd",
            "form": "",
            "registration": "Company number 09915527",
            "address": "14 Welsh Back, Bristol BS1",
            "role_label": {"en": "the “Supplier”", "fr": "le « Fournisseur »"},
            "logo": {"base64": base64.b64encode(LOGO.encode()).decode(), "alt": "Larkfield"},
        },
        {
            "name": "Castellan Pharma SA",
            "form": "société anonyme",
            "registration": "RCS Lyon 512 044 318",
            "address": "22 rue des Docks\n69009 Lyon",
            "role_label": {"en": "the “Customer”", "fr": "le « Client »"},
            "logo": None,
        },
    ]


def schedules(languages: tuple[str, ...], rows: int = 3) -> list[Any]:
    def by(english: str, french: str) -> dict[str, str]:
        return _by(languages, (english, french))

    fees = [(f"{2027 + year}", f"EUR {186 + 4 * year},000.00", year) for year in range(rows)]
    return [
        {
            "key": "software",
            "title": by("Schedule A. Software and contacts", "Annexe A. Logiciel et contacts"),
            "tables": [],
            "sentences": [
                {
                    "key": "product",
                    "label": by("Software", "Logiciel"),
                    "text": by("Larkfield Quote, all modules", "Larkfield Quote, tous les modules"),
                },
                {
                    "key": "uptime",
                    "label": by("Uptime", "Disponibilité"),
                    "text": by("99.90% of each calendar month", "99,90 % de chaque mois civil"),
                },
            ],
        },
        {
            "key": "fees",
            "title": by("Schedule B. Fees", "Annexe B. Prix"),
            "sentences": [],
            "tables": [
                {
                    "key": "fees",
                    "caption": by("Yearly fee", "Redevance annuelle"),
                    "head": {
                        language: list(
                            _by(languages, pair)[language]
                            for pair in (("Year", "Année"), ("Fee", "Prix"), ("Paid", "Paiement"))
                        )
                        for language in languages
                    },
                    "rows": [
                        {
                            "key": f"fee-{at}",
                            "cells": {
                                language: [year, fee, by("in advance", "d'avance")[language]]
                                for language in languages
                            },
                        }
                        for year, fee, at in fees
                    ],
                }
            ],
        },
    ]


def signers(count: int = 2) -> list[Any]:
    people = [
        (
            "ana",
            "Larkfield Software Ltd",
            "Ana Whitmore",
            "Managing director",
            ("for the Supplier", "pour le Fournisseur"),
        ),
        (
            "claire",
            "Castellan Pharma SA",
            "Claire Aubert",
            "IT Director",
            ("for the Customer", "pour le Client"),
        ),
    ]
    return [
        {
            "recipient_key": f"{key}{turn or ''}",
            "for_party": party,
            "name": name,
            "title": title,
            "role_label": {"en": role[0], "fr": role[1]},
        }
        for turn in range((count + 1) // 2)
        for key, party, name, title, role in people
    ][:count]


def upload_page(*languages: str, **changes: Any) -> SignaturePageLayout:
    languages = languages or ("en",)
    layout: SignaturePageLayout = {
        "language": languages[0],
        "languages": list(languages),
        "title": "Mutual confidentiality agreement",
        "reference": "LF-2026-0151",
        "revision": 1,
        "frozen_at": FROZEN_AT,
        "draft": False,
        "labels": {language: labels.for_contract(language) for language in languages},
        "parties": parties(),
        "files": [
            {"name": "NDA Castellan v3 (final).pdf", "sha256": "5e" * 32, "pages": 4, "size": "412 KB"}
        ],
        "signatures": signers(),
    }
    layout.update(changes)  # type: ignore[typeddict-item]
    return layout


def certificate(**changes: Any) -> CertificateData:
    person: Any = {
        "name": "Claire Aubert",
        "title": "IT Director",
        "organisation": "Castellan Pharma SA",
        "email": "claire.aubert@castellan.example",
        "role": "Signer 2 of 2",
        "verified": [
            "Link sent to claire.aubert@castellan.example, opened by a pressed button.",
            "Code from an authenticator app (TOTP), enrolled in this signing, after mail and SMS.",
        ],
        "consent": "Version 3 of 1 November 2026, accepted in English",
        "consent_sha256": "9c" * 32,
        "times": [
            ("Opened", "3 Nov 2026, 10:02:11 CET"),
            ("Consented", "3 Nov 2026, 10:02:58 CET"),
            ("Read to the end", "3 Nov 2026, 10:09:40 CET"),
            ("Signed", "3 Nov 2026, 10:11:05 CET"),
        ],
        "ip": "192.0.2.44",
        "intent": "I sign LF-2026-0147 and want my signature to bind Castellan Pharma SA.",
        "authority": "I am authorised to bind Castellan Pharma SA.",
    }
    evidence: CertificateData = {
        "language": "en",
        "reference": "LF-2026-0147",
        "title": "Support agreement, LF-2026-0147, revision 5",
        "completed_at": "2026-11-03T09:11:05+00:00",
        "completed": "3 November 2026, 10:11:05 CET",
        "labels": labels.for_certificate("en"),
        "document_name": "LF-2026-0147 Support agreement.pdf",
        "document_sha256": "ab" * 32,
        "document_bytes": 215_044,
        "document_pages": 6,
        "seal": [
            "Sealed by Larkfield Software Ltd with a company seal (PAdES B-B).",
            "The key is certified by this installation's own authority.",
        ],
        "people": [{**person, "name": "Ana Whitmore", "organisation": "Larkfield Software Ltd"}, person],
        "events": [
            {"at": f"3 Nov 2026, 10:{minute:02}:11 CET", "what": "Page read", "who": "Claire Aubert"}
            for minute in range(2, 14)
        ],
    }
    evidence.update(changes)  # type: ignore[typeddict-item]
    return evidence


DRAWN = "M10 60 C20 10 40 10 50 60 Q60 90 70 50 L90 40 C110 20 120 80 140 50 M60 30 L120 28"
