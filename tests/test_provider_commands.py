"""`countersign providers`: for a terminal and for programs, without keys or tables where none are needed."""

from __future__ import annotations

import json

import pytest

from portal import cli
from tests.simulators.__main__ import made


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("COUNTERSIGN_DATA_DIR", str(tmp_path / "none"))
    monkeypatch.delenv("COUNTERSIGN_DATABASE_URL", raising=False)
    return tmp_path / "none"


def test_the_list_needs_no_database_and_makes_none(empty_folder, capsys):
    assert cli.main(["providers", "list", "--json"]) == 0

    found = json.loads(capsys.readouterr().out)
    assert found["default"] == "builtin"
    assert "docusign" in [each["name"] for each in found["providers"]]
    assert not empty_folder.exists()


def test_a_rehearsal_by_file_prints_one_line_per_step(tmp_path, capsys, empty_folder):
    with made("docusign").serving() as vendor:
        config = tmp_path / "sandbox.json"
        config.write_text(json.dumps({"settings": vendor.connection_settings(), "server": vendor.origin}))
        assert cli.main(["providers", "rehearse", "docusign", "--config", str(config)]) == 0
    lines = capsys.readouterr().out.strip().splitlines()

    assert [line.split("  ")[0] for line in lines] == [
        "connect", "create and send", "read state", "remind", "signing link", "download", "void",
    ]  # fmt: skip
    assert all("right" in line for line in lines if not line.startswith("download"))
    assert "still preparing" in lines[5]  # nobody has signed, and DocuSign's files are not final before
    assert not empty_folder.exists()


def test_a_wrong_step_is_exit_one_with_its_reason(tmp_path, capsys):
    with made("docusign").serving() as vendor:
        config = tmp_path / "sandbox.json"
        config.write_text(json.dumps({**vendor.connection_settings(), "server": vendor.origin}))
        vendor.misbehave("500", method="POST", path="envelopes")
        assert cli.main(["providers", "rehearse", "docusign", "--config", str(config), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)

    assert found["right"] is False
    assert found["steps"][1]["outcome"] == "wrong"
    assert "500" in found["steps"][1]["detail"]


@pytest.mark.parametrize(
    "given",
    [["--base-url", "http://vendor.example", "--token", "t"], ["--base-url", "http://127.0.0.1:9"], [],
     ["--config", "nowhere.json"]],
)  # fmt: skip
def test_what_cannot_be_rehearsed_is_one_sentence_on_stderr(capsys, given):
    assert cli.main(["providers", "rehearse", "docusign", *given]) == 1

    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.strip().splitlines()) == 1


def test_a_name_that_is_no_provider_is_wrong_usage(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["providers", "rehearse", "pigeon-post"])
    assert caught.value.code == 2


def test_built_in_signing_rehearses_in_a_folder_that_is_thrown_away(capsys, empty_folder):
    assert cli.main(["providers", "rehearse", "builtin"]) == 0
    assert capsys.readouterr().out.count("right") == 7
    assert not empty_folder.exists()
