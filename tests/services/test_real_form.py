"""A real Word form as the text of a contract: sent out, changed in ten ways, and nothing passed over."""

from __future__ import annotations

import pytest

from portal.documents import clause_lines, word_read
from portal.documents.word_read import Row
from portal.models.contracts import Contract, Revision
from portal.models.negotiation import Proposal
from portal.services import agreements, negotiation, proposals, word_forms, word_returns
from tests.services.drafting import actor, draft
from tests.services.talks import invite
from tests.services.test_word_forms import Edited
from tests.sla.samples import shared_file

LONGEST = 20_000


def clauses_of(rows: list[Row]) -> list[dict[str, object]]:
    """The form's own headings become clauses; its tables stay tables."""
    found: list[tuple[str, list[str]]] = []
    table: list[list[str]] = []

    def close() -> None:
        if table:
            width = max(len(row) for row in table)
            lines = ["| " + " | ".join([*row, *[""] * (width - len(row))]) + " |" for row in table]
            found[-1][1].append("\n".join([lines[0], "|" + " --- |" * width, *lines[1:]]))
            table.clear()

    def plain(text: str) -> str:
        return clause_lines.escaped(
            clause_lines.squeeze(text.replace("{", "(").replace("}", ")")), "", NOTHING
        )

    for row in rows:
        if row.cells:
            table.append([plain(cell) or "–" for cell in row.cells])
            continue
        close()
        words = row.text.strip()
        if not words:
            continue
        if not found or (row.is_bold and len(words) < 80):
            found.append((words, []))
        else:
            found[-1][1].append(plain(words))
    close()
    return [
        {"key": f"form-{at}", "level": 1, "heading": {"en": heading}, "text": {"en": "\n\n".join(parts)}}
        for at, (heading, parts) in enumerate(found)
        if parts and len("\n\n".join(parts)) < LONGEST
    ]


NOTHING = clause_lines.Words({}, {})


@pytest.fixture
def contract(cast, now):
    rows = word_read.rows(shared_file("realworld/commonpaper-csa-with-sla.docx").read_bytes())
    made = draft(cast, now)
    clauses = clauses_of(rows)
    assert len(clauses) > 10
    Revision.update(clauses=clauses).where((Revision.contract == made) & (Revision.number == 1)).execute()
    Contract.update(languages=["en"], prevailing_language="en").where(Contract.id == made.id).execute()
    made = Contract.get_by_id(made.id)
    invite(made, cast, now)
    row = agreements.latest(made)
    Revision.update(shared_at=now).where(Revision.id == row.id).execute()
    Contract.update(state="negotiation").where(Contract.id == made.id).execute()
    return Contract.get_by_id(made.id)


def test_a_real_form_comes_back_as_it_went_out(contract, cast, now):
    file = word_forms.made(contract, agreements.latest(contract), author="Ana", at=now)

    returned = word_returns.take_in(contract, file, "form.docx", by=actor(cast.ana), now=now)

    assert (returned.proposals, returned.unassigned) == (0, 0)


def test_ten_changes_of_a_real_form_are_ten_differences(contract, cast, now):
    revision = agreements.latest(contract)
    form = word_forms.described(contract, revision)
    long = [key for (key, _language), lines in form.lines.items() if len(lines) > 1]
    tables = [each["key"] for each in revision.clauses if "| --- |" in each["text"]["en"]]
    file = Edited(word_forms.made(contract, revision, author="Ana", at=now))
    file.write(f"clauses.{tables[0]}.en", "A changed cell", at=3)
    for number, key in enumerate([key for key in long if key not in tables][:4]):
        file.write(f"clauses.{key}.en", f"Changed words {number}.", at=1)
    file.write("terms.severities.S1.response", "25 minutes")
    file.write("terms.uptime.target_pct", "99,8 %")
    file.add_after(f"clauses.{long[-1]}.en", "A paragraph of their own.")
    file.write(f"heading.{long[-2]}.en", "A heading of their own")
    file.write("fixed.title", "A title of their own")

    returned = word_returns.take_in(contract, file.saved(), "form.docx", by=actor(cast.ana), now=now)

    rows = list(Proposal.select())
    said = [str(each.after) for each in rows]
    wanted = [f"Changed words {number}." for number in range(4)]
    wanted += [
        "A changed cell",
        "A paragraph of their own.",
        "A heading of their own",
        "A title of their own",
    ]
    for words in wanted:
        assert sum(words in each for each in said) == 1, words
    assert {each.place for each in rows if each.kind == "term"} == {
        "terms.severities.S1.response", "terms.uptime.target_pct",
    }  # fmt: skip
    assert returned.unassigned == 2
    assert returned.proposals == len(rows) - 2
    ana = negotiation.Party("ours", cast.ana.name, cast.ana.email, person=cast.ana)
    for each in rows:
        if each.kind != "unassigned":
            proposals.accept(contract, each.id, ana, now=now)
    again = word_forms.described(contract, agreements.latest(contract))
    lines = [line for found in again.lines.values() for line in found]
    assert all(any(words in line for line in lines) for words in wanted[:6])
