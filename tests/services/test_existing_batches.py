from __future__ import annotations

import io
import struct
import zipfile

import pytest

from portal import failpoints
from portal.errors import Conflict, Invalid
from portal.models.contracts import Contract, Document
from portal.models.existing import ExistingRow
from portal.models.jobs import Job
from portal.services import audit_chains, existing_batches, existing_csv, existing_zip, installation, jobs
from portal.services.existing_zip import Unusable
from tests.services import existing as samples
from tests.services.drafting import actor


class Killed(BaseException):
    """As the process ends."""


@pytest.fixture
def bring(cast, now):
    def bring(lines, files=None):
        pack = samples.zip_of(
            files if files is not None else {f"{n}.pdf": samples.pdf(n) for n in range(1, 9)}
        )
        return existing_batches.create(
            samples.csv_of(*lines), "contracts.csv", pack, "contracts.zip",
            owner=cast.ana, by=actor(cast.ana), now=now,
        )  # fmt: skip

    return bring


def reasons(batch, number=2):
    return dict(ExistingRow.get((ExistingRow.batch == batch) & (ExistingRow.number == number)).errors)


def test_the_file_is_checked_whole_and_nothing_is_written(bring):
    batch = bring([samples.line(1), samples.line(2, side="both", file="none.pdf"), samples.line(3)])

    assert batch.state == "checked"
    assert existing_batches.counts(batch) == existing_batches.Counts(right=2, wrong=1)
    assert reasons(batch, 3) == {
        "side": "Write “supplier” or “customer”.", "file": "There is no such file in the ZIP.",
    }  # fmt: skip
    assert batch.spare == [f"{n}.pdf" for n in (2, 4, 5, 6, 7, 8)]
    assert not Contract.select().exists()


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("title", ""), ("side", ""), ("entity", "Nobody Ltd"), ("party", ""), ("owner", "nobody@x.example"),
        ("signed", "31/02/2025"), ("signed", "2027-01-01"), ("start", ""), ("end", "2020-01-01"),
        ("length", "0"), ("renewal", "perhaps"), ("notice", "90"), ("notice", "3 moons"), ("fee", "1,5,0"),
        ("period", "day"), ("currency", "ZZZ"), ("currency", ""), ("file", ""), ("file", "../1.pdf.exe"),
    ],
)  # fmt: skip
def test_each_wrong_cell_has_its_reason(bring, column, cell):
    batch = bring([samples.line(1, **{column: cell})])

    assert set(reasons(batch)) == {column}


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("side", "Fournisseur"), ("side", "we buy"), ("entity", "LF"), ("owner", "Ben"),
        ("notice", "60 jours"),
        ("renewal", "Tacite"), ("renewal", "express"), ("signed", "20/12/2025"), ("fee", "1,200.50"),
        ("file", "1.PDF"), ("file", "folder\\1.pdf"), ("level", "Very Special"),
    ],
)  # fmt: skip
def test_cells_are_understood_as_people_write_them(bring, column, cell):
    batch = bring([samples.line(1, **{column: cell})])

    assert reasons(batch) == {}


def test_a_row_knows_the_line_it_begins_on(bring):
    bring([samples.line(1, title="Two\nlines"), samples.line(2)])

    assert [row.line for row in ExistingRow.select().order_by(ExistingRow.number)] == [2, 4]
    assert ExistingRow.select().order_by(ExistingRow.number).first().title == "Two lines"


def test_one_pdf_belongs_to_one_row(bring):
    batch = bring([samples.line(1), samples.line(2, file="1.pdf")])

    assert reasons(batch, 3) == {"file": "Row 2 has the very same PDF."}


def test_a_file_that_is_registered_already_is_named(bring, run_jobs, cast, now):
    first = bring([samples.line(1)])
    existing_batches.start(first, by=actor(cast.ana), now=now)
    run_jobs()

    again = bring([samples.line(1)])

    assert Contract.get().reference in reasons(again)["file"]


def test_what_is_right_is_registered_and_what_is_wrong_left_out(bring, run_jobs, cast, now):
    batch = bring([samples.line(1), samples.line(2, side="both"), samples.line(3, party="Corvid CRM, Inc.")])

    existing_batches.start(batch, by=actor(cast.ana), now=now)
    run_jobs()

    batch = existing_batches.get(batch.id)
    assert (batch.state, existing_batches.counts(batch)) == (
        "done", existing_batches.Counts(left_out=1, made=2),
    )  # fmt: skip
    assert {contract.counterparty.name for contract in Contract.select()} == {
        "Castellan Pharma SA", "Corvid CRM, Inc.",
    }  # fmt: skip
    assert (batch.storage_key, batch.zip_key) == ("", "")
    assert audit_chains.verify()["valid"]
    with pytest.raises(Conflict):
        existing_batches.start(batch, by=actor(cast.ana), now=now)


@pytest.mark.parametrize("point", ["existing.after_store", "existing.before_commit", "existing.after_row"])
def test_killed_while_registering_no_row_is_lost_or_doubled(bring, run_jobs, cast, now, point, monkeypatch):
    batch = bring([samples.line(number) for number in range(1, 6)])
    existing_batches.start(batch, by=actor(cast.ana), now=now)
    passed = []

    def die(name):
        passed.append(name)
        if name == point and passed.count(name) == 3:
            raise Killed

    monkeypatch.setattr(failpoints, "hook", die)
    job = jobs.claim("doomed", now)
    with pytest.raises(Killed):
        jobs.run(job, lambda: now)
    monkeypatch.setattr(failpoints, "hook", None)
    Job.update(lease_until=now.replace(year=2020)).where(Job.id == job.id).execute()
    run_jobs()

    assert existing_batches.counts(batch).made == 5
    assert Contract.select().count() == 5
    assert Document.select().where(Document.kind == "executed").count() == 5
    assert len(list(installation.current().store.keys("existing-"))) == 5


def test_a_long_file_is_checked_by_a_job_and_a_kill_costs_nothing(bring, run_jobs, now, monkeypatch):
    monkeypatch.setattr(existing_batches, "AT_ONCE", 2)
    monkeypatch.setattr(existing_batches, "CHUNK", 2)
    batch = bring([samples.line(number) for number in range(1, 6)])
    assert batch.state == "checking"

    def die(name):
        raise Killed

    monkeypatch.setattr(
        failpoints, "hook", lambda name: die(name) if name == "existing.after_chunk" else None
    )
    job = jobs.claim("doomed", now)
    with pytest.raises(Killed):
        jobs.run(job, lambda: now)
    monkeypatch.setattr(failpoints, "hook", None)
    Job.update(lease_until=now.replace(year=2020)).where(Job.id == job.id).execute()
    run_jobs()

    batch = existing_batches.get(batch.id)
    assert (batch.state, batch.rows_total) == ("checked", 5)
    assert existing_batches.counts(batch).right == 5


def test_it_is_paused_gone_on_with_and_cancelled(bring, run_jobs, cast, now):
    batch, by = bring([samples.line(1), samples.line(2)]), actor(cast.ana)
    existing_batches.start(batch, by=by, now=now)
    existing_batches.pause(batch, by=by, now=now)
    run_jobs()
    assert existing_batches.counts(batch).waiting == 2

    existing_batches.resume(batch, by=by, now=now)
    existing_batches.cancel(batch, by=by, now=now)
    run_jobs()

    assert existing_batches.counts(batch).cancelled == 2
    assert not Contract.select().exists()
    assert list(installation.current().store.keys("existing/")) == []


def test_wrong_rows_come_back_as_a_file_without_formulas(bring):
    batch = bring([samples.line(1, title="=HYPERLINK(1)", side="@both")])

    written = b"".join(existing_batches.wrong_rows(batch)).decode("utf-8-sig")

    assert "'=HYPERLINK(1)" in written
    assert "'@both" in written
    assert "Write “supplier” or “customer”." in written


def test_the_example_is_a_file_that_is_read_again():
    shape, total = existing_batches.read_shape(existing_csv.template())

    assert total == 1
    assert set(shape.columns) == {column.key for column in existing_csv.COLUMNS}


def test_a_file_without_its_columns_or_rows_is_refused(bring):
    with pytest.raises(Invalid):
        bring([])
    with pytest.raises(Invalid):
        existing_batches.read_shape(b"Title,Side\r\nA,supplier\r\n")


# --- The ZIP ----------------------------------------------------------------------------------------


def test_names_are_found_without_their_folder_and_paths_that_climb_are_left_out():
    pack = existing_zip.open_pack(
        samples.zip_of(
            {
                "a/één.pdf": b"1", "../../etc/passwd.pdf": b"2", "/root.pdf": b"3", "C:\\x.pdf": b"4",
                "__MACOSX/._b.pdf": b"5", "b.pdf": b"6",
            }
        )
    )  # fmt: skip

    assert sorted(pack.names()) == ["b.pdf", "één.pdf"]
    assert pack.read("Één.PDF") == b"1"
    with pytest.raises(Unusable):
        pack.read("passwd.pdf")


def test_a_name_that_stands_twice_is_used_for_neither():
    pack = existing_zip.open_pack(samples.zip_of({"a/x.pdf": b"1", "b/X.pdf": b"2"}))

    with pytest.raises(Unusable, match="Two files"):
        pack.read("x.pdf")


def test_a_file_that_grows_beyond_reason_is_not_opened():
    with pytest.raises(Unusable, match="far more than it should"):
        existing_zip.open_pack(samples.zip_of({"bomb.pdf": b"\0" * 20_000_000}))


def test_a_header_that_lies_about_the_length_is_not_believed():
    content = bytearray(samples.zip_of({"liar.pdf": b"\0" * 3_000_000}))
    entry = content.index(b"PK\x01\x02")
    struct.pack_into("<L", content, entry + 24, 10)

    pack = existing_zip.open_pack(bytes(content))

    with pytest.raises(Unusable):
        pack.read("liar.pdf")


@pytest.mark.parametrize(
    "content", [b"", b"%PDF-1.7", b"PK\x03\x04" + b"\0" * 40, b"PK\x05\x06" + b"\xff" * 18]
)
def test_what_is_no_zip_is_refused(content):
    with pytest.raises(Unusable):
        existing_zip.open_pack(content)


def test_too_many_files_and_strange_packing_are_refused(monkeypatch):
    monkeypatch.setattr(existing_zip, "MOST_FILES", 2)
    with pytest.raises(Unusable, match="more than 2 files"):
        existing_zip.open_pack(samples.zip_of({f"{n}.pdf": b"" for n in range(3)}))
    with pytest.raises(Unusable, match="plain ZIP"):
        existing_zip.open_pack(samples.zip_of({"x.pdf": b"1"}, zipfile.ZIP_LZMA))
    locked = bytearray(samples.zip_of({"x.pdf": b"1"}))
    locked[locked.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(Unusable, match="password"):
        existing_zip.open_pack(bytes(locked))


def test_a_damaged_file_is_one_row_s_trouble(bring):
    files = {"1.pdf": samples.pdf(1), "2.pdf": samples.pdf(2) * 50}
    good = samples.zip_of(files, zipfile.ZIP_STORED)
    broken = good.replace(b"% 2", b"% 9")
    assert zipfile.ZipFile(io.BytesIO(broken)).testzip() == "2.pdf"

    pack = existing_zip.open_pack(broken)

    assert pack.read("1.pdf") == samples.pdf(1)
    with pytest.raises(Unusable, match="damaged"):
        pack.read("2.pdf")
