from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import sys
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest

from portal.models.contracts import Contract
from portal.services import evidence_packages, existing, letters, revisions, successors
from tests.services import existing as samples
from tests.services import signing
from tests.services.drafting import actor, draft


def unpacked(contract: Contract, folder: Path) -> Path:
    with zipfile.ZipFile(io.BytesIO(evidence_packages.build(contract))) as archive:
        archive.extractall(folder)
    return folder


def step(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A printed step, run as it is printed, with no code of ours within reach."""
    words = command.split()
    words[0] = sys.executable if words[0] == "python3" else words[0]
    return subprocess.run(
        words, cwd=folder, capture_output=True, text=True, check=False, timeout=60,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
    )  # fmt: skip


def printed_steps(folder: Path, name: str) -> list[str]:
    lines = (folder / name).read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip().startswith(("sha256sum", "python3", "openssl"))]


def sign_all(contract, cast, now, run_jobs):
    """Fixed, sent, signed by everybody here, sealed."""
    revisions.make_ready(contract, by=actor(cast.ana), now=now)
    envelope = signing.sent(cast, now, run_jobs, Contract.get_by_id(contract.id))
    for key in ("theirs-1", "ours-1"):
        signing.act(envelope, key, now)
        run_jobs(now)
    return Contract.get_by_id(contract.id)


@pytest.fixture
def signed(cast, now, run_jobs):
    return sign_all(draft(cast, now), cast, now, run_jobs)


@pytest.fixture
def paper(cast, now, run_jobs, monkeypatch):
    """Signed elsewhere, its typed terms confirmed, and notice given by a sealed letter."""
    monkeypatch.setattr(letters, "typeset", lambda letter: signing.printed(1, 2).pdf)
    made = existing.register(
        samples.said(cast), samples.pdf(), "Ours & théirs.pdf", by=actor(cast.ana), now=now
    )
    existing.note_typing(made, by=actor(cast.ana), now=now)
    existing.confirm(made, by=actor(cast.ben), now=now)
    asked = letters.Asked("end", cast.signatory.id)
    letter = letters.draft(made, asked, by=actor(cast.ana), now=now)
    letters.sign(letter, name="Priya", is_meant=True, by=actor(cast.priya), now=now)
    run_jobs(now)
    return Contract.get_by_id(made.id)


@pytest.mark.parametrize("name", ["EXPLANATION.en.txt", "EXPLICATION.fr.txt"])
def test_the_printed_steps_hold_with_outside_tools_alone(signed, tmp_path, name):
    folder = unpacked(signed, tmp_path / "package")

    steps = printed_steps(folder, name)

    assert len(steps) == 4
    for command in steps:
        done = step(command, folder)
        assert done.returncode == 0, f"{command}: {done.stdout} {done.stderr}"
    assert "Company seals that hold" in step("python3 check.py", folder).stdout


def test_it_holds_letters_and_confirmed_terms_of_what_was_signed_elsewhere(paper, tmp_path):
    folder = unpacked(paper, tmp_path / "package")

    kinds = {each["kind"]: each for each in json.loads((folder / "manifest.json").read_text())["files"]}
    assert kinds["executed"]["sealed"] is False
    assert (folder / kinds["executed"]["name"]).read_bytes() == samples.pdf()
    assert kinds["letter"]["sealed"] is True
    text = (folder / kinds["text"]["name"]).read_bytes()
    assert hashlib.sha256(text).hexdigest() == revisions.current(paper).sha256
    done = step("python3 check.py", folder)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "Texts that match their hash: 1." in done.stdout


@pytest.mark.parametrize(
    "harm",
    [
        "signed", "terms", "trail", "added", "cut", "seal",
    ],
)  # fmt: skip
def test_the_checker_names_what_was_changed(paper, tmp_path, harm):
    folder = unpacked(paper, tmp_path / "package")
    manifest = json.loads((folder / "manifest.json").read_text())
    by_kind = {each["kind"]: folder / each["name"] for each in manifest["files"]}
    if harm == "added":
        (folder / "signed" / "another.pdf").write_bytes(b"%PDF-")
    elif harm == "cut":
        lines = by_kind["trail"].read_text().splitlines(keepends=True)
        rewrite(folder, by_kind["trail"], "".join([lines[0], *lines[2:]]).encode())
    elif harm == "trail":
        rewrite(
            folder,
            by_kind["trail"],
            by_kind["trail"].read_bytes().replace(b"contract.registered", b"contract.registerEd"),
        )
    elif harm == "seal":
        content = bytearray(by_kind["letter"].read_bytes())
        content[200] ^= 1
        rewrite(folder, by_kind["letter"], bytes(content))
    else:
        path = by_kind["executed" if harm == "signed" else "text"]
        path.write_bytes(path.read_bytes() + b" ")

    done = step("python3 check.py", folder)

    assert done.returncode == 1
    assert done.stdout.startswith("NOT WHOLE")


def rewrite(folder: Path, path: Path, content: bytes) -> None:
    """Change a file and the manifest with it, as somebody would who knows the package."""
    path.write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_text())
    for each in manifest["files"]:
        if folder / each["name"] == path:
            each["sha256"] = hashlib.sha256(content).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_another_authority_s_certificate_does_not_vouch_for_the_seal(signed, tmp_path):
    folder = unpacked(signed, tmp_path / "package")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
         "/CN=Somebody", "-keyout", tmp_path / "key", "-out", tmp_path / "other.pem"],
        check=True, capture_output=True,
    )  # fmt: skip

    done = step(f"python3 check.py --ca {tmp_path / 'other.pem'}", folder)

    assert done.returncode == 1
    assert "does not hold" in done.stdout
    shutil.rmtree(folder)


def test_the_same_state_gives_the_same_bytes_and_notes_between_colleagues_stay(paper, cast, now):
    from portal.services import contracts

    contracts.change_owner(
        paper, cast.ben, by=actor(cast.ana), now=now + timedelta(hours=1), note="Internal words"
    )

    first, second = evidence_packages.build(paper), evidence_packages.build(paper)

    assert first == second
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        trail = archive.read("trail.jsonl").decode()
    assert "Internal words" not in trail
    assert "handed_over" in trail


def test_amendments_lie_in_a_folder_of_their_own(signed, cast, now, run_jobs, tmp_path):
    amendment = sign_all(
        successors.amend(signed, owner=cast.ana, by=actor(cast.ana), now=now), cast, now, run_jobs
    )

    folder = unpacked(signed, tmp_path / "package")

    assert list((folder / "amendments" / amendment.reference / "signed").iterdir())
    done = step("python3 check.py", folder)
    assert done.returncode == 0, done.stdout
