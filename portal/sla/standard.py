"""Wording and figures that every standard contract starts with, whatever its level."""

from __future__ import annotations

from portal.i18n import N_
from portal.sla.terms import CarveOut, Clocks, EscalationStep, Exclusion, ExecutiveReview, Terms, TestingDuty
from portal.sla.words import both

SEVERITIES: dict[str, tuple[str, str]] = {
    "S1": (
        N_("Critical"),
        N_("Selling stops: the product cannot be used, or data is being lost, and there is no way round it."),
    ),
    "S2": (
        N_("Major"),
        N_("A main function fails or is very slow for many people, and a way round it costs much effort."),
    ),
    "S3": (
        N_("Minor"),
        N_("A function does not work as documented, and a reasonable way round it exists."),
    ),
    "S4": (N_("Question"), N_("A question, a cosmetic fault or a wish that hinders nobody's work.")),
}

PAUSES = {
    "waiting_customer": N_("the Supplier waits for information or a test that only the Customer can give"),
    "agreed_appointment": N_("the parties have agreed to go on at a later time"),
}

EXCLUSIONS = {
    "custom-code": N_("changes to the product that the Supplier did not make or approve"),
    "environment": N_("networks, devices and accounts that the Customer runs itself"),
    "misuse": N_("use contrary to the documentation after the Customer was told so"),
    "old-versions": N_("versions whose support the Supplier ended with six months' notice"),
}

CARVE_OUTS = {
    "intent": N_("fraud, wilful misconduct and gross negligence"),
    "persons": N_("death and injury of persons"),
    "confidentiality": N_("breach of confidentiality or of data protection duties"),
    "third-party-rights": N_("infringement of the rights of third parties by the Supplier's software"),
}

TESTING = (
    ("regression", "before", "supplier", N_("regression tests on a copy of the customer's configuration")),
    ("smoke", "after", "supplier", N_("a check of sign-in, quotes and orders right after the release")),
    ("acceptance", "after", "customer", N_("acceptance of the changed functions by key users")),
)
ROLLBACK = N_("A function that worked before fails with severity S1 or S2 and is not repaired in time.")

LAWS = {
    "FR": (N_("French law"), N_("the courts of Paris")),
    "GB": (N_("the law of England and Wales"), N_("the courts of London")),
    "DE": (N_("German law"), N_("the courts of Berlin")),
    "BE": (N_("Belgian law"), N_("the courts of Brussels")),
    "CH": (N_("Swiss law"), N_("the courts of Zurich")),
    "US": (N_("the law of the State of New York"), N_("the courts of New York County")),
}


def fill(terms: Terms, release_notice_h: tuple[int, int, int], country: str | None) -> None:
    """Write everything that does not depend on the level into the terms."""
    terms["clocks"] = _clocks()
    terms["escalation"] = _escalation()
    terms["executive_review"] = _review()
    terms["scope"]["modules"] = [{"key": "core", "name": terms["product"]}] if terms["product"] else []
    terms["scope"]["exclusions"] = [_exclusion(key, text) for key, text in EXCLUSIONS.items()]
    release = terms["release"]
    regular, major, emergency = release_notice_h
    release["windows"] = "releases"
    release["notice_h"] = {"standard": regular, "major": major, "emergency": emergency}
    release["testing"] = [_duty(*row) for row in TESTING]
    release["acceptance_h"] = 48
    release["rollback"] = {"criterion": both(ROLLBACK), "deadline_min": 60}
    _fill_commercial(terms, country)


def _fill_commercial(terms: Terms, country: str | None) -> None:
    commercial = terms["commercial"]
    commercial["renewal"] = {"kind": "tacit", "months": 12}
    commercial["notice"] = {"value": 3, "unit": "months", "form": "portal"}
    if (commercial["length_months"] or 0) <= 3:
        commercial["renewal"] = {"kind": "none", "months": None}
        commercial["notice"] = None
    commercial["liability_cap"] = {"fee_months": 12}
    commercial["carve_outs"] = [_carve_out(key, text) for key, text in CARVE_OUTS.items()]
    law, courts = LAWS.get(country or "", (None, None))
    if law and courts:
        commercial["governing_law"] = both(law)
        commercial["courts"] = both(courts)


def _clocks() -> Clocks:
    return {
        "starts": "report",
        "automatic_reply_counts": False,
        "pause_reasons": [{"key": key, "label": both(text)} for key, text in PAUSES.items()],
        "reopen": "resume",
        "reopen_days": 10,
    }


def _escalation() -> list[EscalationStep]:
    return [
        {
            "key": "support-lead",
            "after": {"clock": "resolution", "pct": 75},
            "severities": ["S1", "S2"],
            "side": "supplier",
            "role": both(N_("Head of support")),
            "contact": None,
            "response": None,
            "urgent": False,
        },
        {
            "key": "service-director",
            "after": {"clock": "resolution", "pct": 100},
            "severities": ["S1", "S2"],
            "side": "supplier",
            "role": both(N_("Service director")),
            "contact": None,
            "response": None,
            "urgent": True,
        },
        {
            "key": "executives",
            "after": {"clock": "resolution", "overrun_min": 120},
            "severities": ["S1"],
            "side": "supplier",
            "role": both(N_("Executive sponsor")),
            "contact": None,
            "response": None,
            "urgent": True,
        },
    ]


def _review() -> ExecutiveReview:
    return {
        "breach_of": ["S1"],
        "breaches": {"count": 3, "days": 30},
        "uptime_missed": {"count": 2, "months": 3},
        "budget_over_pct": 100,
        "disputed_credit": True,
        "due": {"service_days": 5, "calendar": "business"},
    }


def _exclusion(key: str, text: str) -> Exclusion:
    return {"key": key, "text": both(text)}


def _carve_out(key: str, text: str) -> CarveOut:
    return {"key": key, "text": both(text)}


def _duty(key: str, stage: str, by: str, text: str) -> TestingDuty:
    return {"key": key, "stage": stage, "by": by, "text": both(text)}  # type: ignore[typeddict-item]
