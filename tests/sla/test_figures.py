"""Numbers in prose that contradict a term."""

from __future__ import annotations

import pytest

from portal.sla import figures
from tests.sla.samples import premium


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Answered within 30 minutes, day and night.", []),
        ("Answered within 25 minutes.", ["25 minutes"]),
        ("Réponse en 25 minutes et 99,9 % de disponibilité.", ["25 minutes"]),
        ("A credit of 17 % of the fee.", ["17 %"]),
        ("See clause 4.2 and the year 2027, S1.", []),
        ("Within 48 hours, that is 2880 minutes.", ["48 hours", "2880 minutes"]),
        ("Notice of 7 months; notice of 7 months.", ["7 months"]),
    ],
)
def test_figures_that_no_row_holds_are_named(text, said):
    assert figures.in_no_row(text, premium()) == said
