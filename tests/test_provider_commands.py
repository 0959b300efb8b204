"""`countersign providers`: for a terminal and for programs, without keys or tables where none are needed."""

from __future__ import annotations

import json

import pytest

from portal import cli
from portal.clock import utc_now
from portal.services import connections
from portal.services.audit import SYSTEM
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


@pytest.mark.parametrize(
    "held",
    [
        "[]",
        '{"settings": []}',
        '{"api_key": "k", "tokens": {"refresh": "r"}}',
        '{"api_key": "k", "tokens": {"access": "a", "expires_at": "soon"}}',
        '{"api_key": "k", "server": "http://vendor.example"}',
        '{"api_key": "k", "server": "https://127.0.0.1"}',
    ],
)
def test_a_file_that_describes_no_account_is_one_sentence(tmp_path, capsys, held):
    config = tmp_path / "account.json"
    config.write_text(held)
    assert cli.main(["providers", "rehearse", "signnow", "--config", str(config)]) == 1

    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.strip().splitlines()) == 1


def test_tokens_of_a_file_are_used(tmp_path, capsys):
    with made("signnow").serving() as vendor:
        config = tmp_path / "account.json"
        given = {**vendor.connection_settings(), "method": "oauth"}
        tokens = {"access": given.pop("api_key"), "expires_at": "2999-01-01T00:00:00+00:00"}
        config.write_text(json.dumps({"settings": given, "tokens": tokens, "server": vendor.origin}))
        status = cli.main(["providers", "rehearse", "signnow", "--config", str(config), "--json"])
    found = json.loads(capsys.readouterr().out)

    assert status == 0, found
    assert found["steps"][0]["outcome"] == "right"


@pytest.mark.parametrize(
    "given",
    [["signnow", "--token", "t"], ["builtin", "--config", "x.json"],
     ["builtin", "--base-url", "http://127.0.0.1:9", "--token", "t"]],
)  # fmt: skip
def test_options_that_do_not_go_together_are_wrong_usage(capsys, given):
    assert cli.main(["providers", "rehearse", *given]) == 2
    assert capsys.readouterr().out == ""


def test_a_check_asks_each_account_and_says_on_stderr_which_does_not_let_us_in(
    home, tmp_path, database_url, monkeypatch, capsys
):
    monkeypatch.setenv("COUNTERSIGN_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("COUNTERSIGN_DATABASE_URL", database_url)
    now = utc_now()
    with made("signnow").serving() as vendor:
        good = vendor.connection_settings()
        for name, given in (("Good", good), ("Bad", {**good, "api_key": "MARKED-wrong"})):
            connections.create("signnow", name, given, by=SYSTEM, now=now, server=vendor.origin)
        status = cli.main(["providers", "check", "signnow"])
    said = capsys.readouterr()

    assert status == 1
    assert said.out.startswith("Good: ")
    assert said.err.startswith("Bad: ")
    assert len(said.out.splitlines()) == len(said.err.splitlines()) == 1
    assert "MARKED" not in said.out + said.err


def test_a_name_that_is_no_provider_is_wrong_usage(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["providers", "rehearse", "pigeon-post"])
    assert caught.value.code == 2


def test_built_in_signing_rehearses_in_a_folder_that_is_thrown_away(capsys, empty_folder):
    assert cli.main(["providers", "rehearse", "builtin"]) == 0
    assert capsys.readouterr().out.count("right") == 7
    assert not empty_folder.exists()
