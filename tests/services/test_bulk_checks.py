from __future__ import annotations

import csv
import io
from datetime import timedelta
from decimal import Decimal

import pytest

from portal import failpoints, i18n
from portal.errors import Invalid
from portal.models.bulk import BulkBatch, BulkRow
from portal.models.contracts import Contract
from portal.models.envelopes import PolicyRule
from portal.models.jobs import Job
from portal.models.parties import Counterparty
from portal.services import bulk, bulk_checks, bulk_csv, jobs, policies
from tests.services.bulk import answers, checked, file, line
from tests.services.drafting import actor


def errors(batch, number=2):
    row = BulkRow.get((BulkRow.batch == batch) & (BulkRow.number == number))
    return dict(row.errors)


def test_a_right_file_says_what_it_will_make_and_makes_nothing(cast, now):
    parties = Counterparty.select().count()

    batch = checked(cast, now, file([line(1), line(2, company="castellan PHARMA sa")]))

    assert (batch.state, batch.rows_total) == ("checked", 2)
    tally = bulk.counts(batch)
    assert (tally.right, tally.wrong, tally.known) == (2, 0, 1)
    assert bulk.totals(batch) == [("EUR", Decimal("21600.00"), 2)]
    assert Contract.select().count() == 0
    assert Counterparty.select().count() == parties


WRONG = (
    ("A,,p@c.example,Standard,Quote,9,EUR,2027-02-01,12", "name", "Fill this in"),
    ("A,B,no address,Standard,Quote,9,EUR,2027-02-01,12", "email", "not a mail address"),
    ("A,B,p@c.example,Gold,Quote,9,EUR,2027-02-01,12", "level", "Basic, Premium and Standard"),
    ("A,B,p@c.example,Standard,,9,EUR,2027-02-01,12", "product", "Fill this in"),
    ('A,B,p@c.example,Standard,Quote,"4.500",EUR,2027-02-01,12', "fee", "4500.50"),
    ("A,B,p@c.example,Standard,Quote,9,XYZ,2027-02-01,12", "currency", "GBP"),
    ("A,B,p@c.example,Standard,Quote,9,EUR,soon,12", "start", "day/month/year"),
    ("A,B,p@c.example,Standard,Quote,9,EUR,2027-02-01,0", "length", "from 1 to 600"),
    ("A,B,p@c.example,Standard,Quote,90000,EUR,2027-02-01,12", "fee", "may sign up to"),
    ("A,B,p@c.example,Standard,Quote,9,EUR,2027-02-01,12,extra", "", "more cells"),
)


def test_each_wrong_cell_is_named_with_its_reason(cast, now):
    rows = [
        cells.replace("p@c.example", f"p{at}@c.example") for at, (cells, _column, _words) in enumerate(WRONG)
    ]

    batch = checked(cast, now, file(rows))

    for number, (_cells, column, words) in enumerate(WRONG, start=2):
        found = errors(batch, number)
        assert list(found) == [column], found
        assert words in found[column], found


def test_one_row_tells_all_its_reasons_in_the_words_of_the_reader(cast, now):
    with i18n.use("fr"):
        batch = checked(cast, now, file(["A,,nowhere,Or,Quote,x,XYZ,demain,12"]))
        found = errors(batch)
        assert set(found) == {"name", "email", "level", "fee", "currency", "start"}
        assert found["name"] == "À remplir."
        written = b"".join(bulk.wrong_rows(batch)).decode("utf-8-sig")

    header, row = list(csv.reader(io.StringIO(written), delimiter=";"))
    assert header[0] == "Société"
    assert row[header.index("Adresse électronique")] == "nowhere"
    assert "Signataire" in row[-1]


def test_country_language_and_phone_are_read_as_people_write_them(cast, now):
    header = "Société;Pays;Signataire;Courriel;Téléphone;Langue"
    content = file(["Neuf SA;Allemagne;Anne;a@n.example;030 901820;Français"], header)

    batch = checked(cast, now, content, version=None, document=pdf(now), signatory=None)

    read = BulkRow.get(BulkRow.batch == batch).read
    assert (read["country"], read["language"], read["phone"]) == ("DE", "fr", "+4930901820")


def pdf(now):
    from portal.services import documents
    from tests.services.signing import printed

    facts = {"original_sha256": "0", "removed": [], "had_signatures": []}
    return documents.add(printed().pdf, "upload", file_name="code.pdf", pages=3, facts=facts, now=now)


def test_the_same_person_twice_is_wrong_from_the_second_row_on(cast, now):
    batch = checked(cast, now, file([line(1), line(2), line(3, email="P1@c.example")]))

    assert errors(batch, 2) == {}
    assert "row 2 already" in errors(batch, 4)["email"]
    assert bulk.counts(batch).wrong == 1


def test_who_must_pass_a_text_message_needs_a_number_in_the_file_or_in_our_records(
    cast, now, home, monkeypatch
):
    monkeypatch.setattr("portal.services.gateways.can_text", lambda: True)
    policies.seed(now)
    PolicyRule.create(
        name="All", condition={}, applies_to="theirs", factor="sms", position=99, updated_at=now
    )
    rows = [
        line(1),
        "Castellan Pharma SA,Claire Aubert,claire@castellan.example,Standard,Quote,9,EUR,2027-02-01,12",
    ]

    batch = checked(cast, now, file(rows))

    assert "has no telephone number" in errors(batch, 2)["phone"]
    assert errors(batch, 3) == {}


def test_answers_for_all_rows_fill_what_a_row_leaves_empty(cast, now):
    given = {
        "level": "basic", "product": "Quote", "fee": "100.00", "currency": "EUR", "start": "2027-01-01",
        "length": "6",
    }  # fmt: skip
    content = file(["A,B,p@c.example,,", "C,D,d@c.example,,200"], "Company,Signer,Email,Plan,Fee")

    batch = checked(cast, now, content, defaults=given)

    assert bulk.totals(batch) == [("EUR", Decimal("1800.00"), 2)]


def test_a_file_that_is_none_is_refused_beside_its_field(cast, now):
    for content, words in ((b"", "empty"), (file([]), "no row"), (b"PK\0\0", "not a CSV")):
        with pytest.raises(Invalid) as refused:
            bulk.create(answers(cast, now), content, "x.csv", owner=cast.ana, by=actor(cast.ana), now=now)
        assert words in refused.value.errors["file"]
    assert BulkBatch.select().count() == 0


def test_a_long_file_is_read_by_a_job_that_goes_on_where_it_was_killed(cast, now, run_jobs, monkeypatch):
    monkeypatch.setattr(bulk_checks, "CHUNK", 60)
    rows = [line(number) for number in range(1, 251)]
    rows[200] = line(201, email="p5@c.example")
    batch = checked(cast, now, file(rows))
    assert (batch.state, batch.rows_total) == ("checking", 250)

    class Killed(BaseException):
        pass

    def die(name):
        if name == "bulk.after_chunk" and BulkRow.select().count() == 120:
            raise Killed

    failpoints.hook = die
    try:
        with pytest.raises(Killed):
            run_jobs()
    finally:
        failpoints.hook = None
    assert bulk.get(batch.id).rows_read == 120
    run_jobs(now + jobs.LEASE + timedelta(seconds=1))

    batch = bulk.get(batch.id)
    tally = bulk.counts(batch)
    assert (batch.state, tally.right, tally.wrong, batch.storage_key) == ("checked", 249, 1, "")
    assert "row 6 already" in errors(batch, 202)["email"]
    assert Job.get(Job.kind == "check_bulk").status == "done"


def test_checking_takes_no_more_memory_for_many_rows_than_for_few(cast, now, monkeypatch):
    import tracemalloc

    monkeypatch.setattr(bulk_checks, "CHUNK", 25)

    def peak(count):
        content = file([line(number) for number in range(1, count + 1)])
        batch = BulkBatch.create(
            kind="template", owner=cast.ana, entity=cast.entity, signatory=cast.signatory,
            template_version=answers(cast, now).version, title="x", file_name="x.csv", sha256=str(count),
            created_at=now,
        )  # fmt: skip
        shape = bulk_csv.shape_of(content, "template")
        tracemalloc.start()
        bulk_checks.read_rows(batch, content, shape, now, None)
        _now, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert BulkRow.select().where(BulkRow.batch == batch).count() == count
        return most

    peak(10)  # what is loaded once
    assert peak(500) < peak(100) * 1.2 + 100_000
