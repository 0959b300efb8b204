"""The `countersign` command: text for people, JSON for programs, one sentence when it refuses."""

from __future__ import annotations

import json
import subprocess

import pytest

from portal.settings import ROOT
from tests.processes import command, environment
from tests.tools import require_tool


def run(data_dir, *words, **more):
    return subprocess.run(
        command(*words), cwd=ROOT, env=environment(data_dir, **more), capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cli")


@pytest.fixture(scope="module")
def pdf(tmp_path_factory):
    """A plain one-page PDF, made by hand."""
    import pikepdf

    path = tmp_path_factory.mktemp("pdf") / "plain.pdf"
    with pikepdf.new() as document:
        document.add_blank_page(page_size=(595, 842))
        document.save(path)
    return path


@pytest.fixture(scope="module")
def sealed(folder, pdf):
    path = folder / "sealed.pdf"
    done = run(folder, "seal", str(pdf), str(path), "--json")
    assert done.returncode == 0, done.stderr
    return path


def test_seal_prepares_an_empty_folder_and_verify_says_yes(folder, sealed):
    answer = run(folder, "verify", str(sealed), "--json")

    assert answer.returncode == 0, answer.stderr
    told = json.loads(answer.stdout)
    assert told["valid"] is True
    assert told["kind"]
    assert run(folder, "verify", str(sealed)).stdout.strip()


def test_another_machine_verifies_with_the_authority_alone(folder, sealed, tmp_path):
    ca = tmp_path / "ca.pem"
    ca.write_text(run(folder, "ca").stdout)
    elsewhere = tmp_path / "elsewhere"

    with_ca = run(elsewhere, "verify", str(sealed), "--ca", str(ca), "--json")
    without = run(elsewhere, "verify", str(sealed), "--json")

    assert with_ca.returncode == 0, with_ca.stdout
    assert without.returncode == 1
    assert json.loads(without.stdout)["valid"] is False
    assert not elsewhere.exists()


def test_a_changed_file_is_refused(folder, sealed, tmp_path):
    altered = tmp_path / "altered.pdf"
    altered.write_bytes(sealed.read_bytes() + b"\n% one more line\n")

    answer = run(folder, "verify", str(altered), "--json")

    assert answer.returncode == 1
    assert json.loads(answer.stdout)["valid"] is False


def test_pdfsig_calls_the_sealed_file_valid(sealed):
    done = subprocess.run(
        [require_tool("pdfsig"), "-nocert", sealed], capture_output=True, text=True, check=False
    )

    assert "Signature is Valid" in done.stdout
    assert "Total document signed" in done.stdout


def test_seal_refuses_what_is_no_pdf_in_one_sentence(folder, tmp_path):
    wrong = tmp_path / "wrong.pdf"
    wrong.write_text("not a PDF")

    done = run(folder, "seal", str(wrong), str(tmp_path / "out.pdf"))

    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out.pdf").exists()


def test_people_add_prints_a_one_time_link(folder):
    done = run(folder, "people", "add", "it@company.example", "--role", "administrator")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("http://127.0.0.1:8000/")
    unknown = run(folder, "people", "add", "it2@company.example", "--role", "wizard")
    assert unknown.returncode == 1
    assert "Traceback" not in unknown.stderr


def test_migrate_status_up_and_down(tmp_path):
    before = json.loads(run(tmp_path, "migrate", "status", "--json").stdout)["migrations"]
    assert before
    assert not any(row["applied"] for row in before)
    assert not list(tmp_path.iterdir())

    assert run(tmp_path, "migrate", "up").returncode == 0
    after = json.loads(run(tmp_path, "migrate", "status", "--json").stdout)["migrations"]
    assert all(row["applied"] for row in after)
    assert run(tmp_path, "migrate", "down").returncode == 0


def test_the_trail_of_a_sealed_file_verifies_and_exports(folder, sealed, tmp_path):
    assert run(folder, "audit", "verify").returncode == 0
    assert json.loads(run(folder, "audit", "verify", "--json").stdout)["valid"] is True
    export = tmp_path / "trail.jsonl"
    assert run(folder, "audit", "export", str(export)).returncode == 0
    assert export.read_text().splitlines()


def test_settings_shows_every_value_and_its_source(folder):
    rows = json.loads(run(folder, "settings", "--json").stdout)["settings"]

    by_name = {row["name"]: row for row in rows}
    assert by_name["COUNTERSIGN_DATA_DIR"]["source"] == "environment"
    assert "hidden" in by_name["COUNTERSIGN_SECRET_KEY"]["value"]


@pytest.mark.parametrize("words", [("ca",), ("verify", "absent.pdf"), ("audit", "verify"), ("settings",)])
def test_read_only_commands_create_nothing(tmp_path, words):
    folder = tmp_path / "data"

    done = run(folder, *words)

    assert "Traceback" not in done.stderr
    assert not folder.exists()


@pytest.mark.parametrize("words", [(), ("nonsense",), ("seal", "one.pdf"), ("serve", "--port", "99999")])
def test_wrong_usage_exits_with_2(tmp_path, words):
    assert run(tmp_path, *words).returncode == 2
