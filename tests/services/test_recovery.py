"""The recovery key: under its passphrase, complete, asked for until kept, and again when keys change."""

from __future__ import annotations

import base64
import json
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, load_pem_private_key, pkcs12

from portal import settings
from portal.errors import Invalid
from portal.services import audit, installation, key_sets, recovery
from portal.services.audit import Actor
from portal.services.key_sets import UnusableKeys
from tests import machines
from tests.conftest import NOW

PASSPHRASE = "four words nobody guesses"
REAL = {"MAIL_URL": "smtp://mail.example:25", "SMS_URL": "webhook+https://sms.example/send"}


@pytest.fixture(autouse=True)
def cheap_guesses(monkeypatch):
    monkeypatch.setitem(key_sets.COST, "n", 2**12)


def by(person):
    return Actor("person", person.id, person.name, person.email)


def make(cast, passphrase=PASSPHRASE, now=NOW):
    return recovery.make(passphrase, passphrase, by=by(cast.ada), now=now)


def saved(tmp_path, content):
    path = tmp_path / "countersign-recovery.json"
    path.write_bytes(content)
    return path


def restarted(opened, **more):
    """The same installation started with other settings."""
    given = machines.reader(opened.settings.data_dir, opened.settings.database_url, **more)()
    return installation.open_installation(given)


def test_the_passphrase_opens_every_key(home, cast, tmp_path):
    keys = key_sets.read_from(saved(tmp_path, make(cast)), lambda: PASSPHRASE)

    assert keys == key_sets.gather(home.settings)
    assert set(keys.authority) >= {"ca_key.pem", "seal_key.pem", "audit_key.pem", "ca.pem"}
    assert keys.names == key_sets.key_names(home.settings.encryption_keys)


def test_nothing_of_it_can_be_read_without(home, cast, tmp_path):
    content = make(cast)

    keys = key_sets.gather(home.settings)
    for secret in (keys.secret_key, keys.encryption_keys, "PRIVATE KEY"):
        assert secret.encode() not in content
        assert base64.b64encode(secret.encode())[:-4] not in content
    with pytest.raises(UnusableKeys, match="passphrase does not open"):
        key_sets.read_from(saved(tmp_path, content), lambda: PASSPHRASE + "x")


def test_the_way_an_accent_is_typed_does_not_matter(home, cast, tmp_path):
    path = saved(tmp_path, make(cast, "quatre mots très secrets".replace("è", "e\u0300")))

    assert key_sets.read_from(path, lambda: "quatre mots très secrets")


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.update(company="Another"),
        lambda file: file.update(sealed=file["sealed"][:-8] + "AAAAAAA="),
        lambda file: file["kdf"].update(n=2**16),
        lambda file: file["cipher"].update(nonce=base64.b64encode(b"n" * 12).decode()),
        lambda file: file.pop("kdf"),
        lambda file: file["kdf"].update(n=2**30),
        lambda file: file["kdf"].update(n="many"),
        lambda file: file.update(schema="something-else/1"),
    ],
)
def test_a_changed_file_is_refused_in_a_sentence(home, cast, tmp_path, change):
    file = json.loads(make(cast))
    change(file)

    with pytest.raises(UnusableKeys) as refused:
        key_sets.read_from(saved(tmp_path, json.dumps(file).encode()), lambda: PASSPHRASE)
    assert refused.value.message.endswith(".")


@pytest.mark.parametrize("content", [b"", b"not json", b"[]", b'{"schema": "countersign-keys/1"}'])
def test_what_is_no_key_file_is_refused(tmp_path, content):
    with pytest.raises(UnusableKeys, match="no key file"):
        key_sets.read_from(saved(tmp_path, content), lambda: PASSPHRASE)


def test_an_empty_folder_holds_no_keys(tmp_path):
    with pytest.raises(UnusableKeys, match="no file encryption_keys"):
        key_sets.read_from(tmp_path, lambda: "")


def test_keys_given_by_the_environment_are_in_it(home, cast, tmp_path):
    key = base64.urlsafe_b64encode(b"e" * 32).decode()
    restarted(home, ENCRYPTION_KEYS=key, SECRET_KEY="s" * 40)

    keys = key_sets.read_from(saved(tmp_path, make(cast)), lambda: PASSPHRASE)

    assert (keys.encryption_keys, keys.secret_key) == (key, "s" * 40)


def test_your_own_seal_key_is_in_it_and_comes_back(home, cast, tmp_path):
    folder = home.settings.authority_dir
    key = load_pem_private_key((folder / "seal_key.pem").read_bytes(), None)
    certificate = x509.load_pem_x509_certificate((folder / "seal.pem").read_bytes())
    own = tmp_path / "own.p12"
    own.write_bytes(
        pkcs12.serialize_key_and_certificates(b"own", key, certificate, None, BestAvailableEncryption(b"pw"))
    )
    restarted(home, SEAL_P12=str(own), SEAL_P12_PASSWORD="pw")
    keys = key_sets.read_from(saved(tmp_path, make(cast)), lambda: PASSPHRASE)
    there = machines.reader(tmp_path / "there")()

    left = key_sets.put(keys, there)

    assert (there.key_dir / "seal.p12").read_bytes() == own.read_bytes()
    assert (there.key_dir / "seal_p12_password").read_text() == "pw"
    assert "COUNTERSIGN_SEAL_P12" in left[0]
    assert settings.read({"COUNTERSIGN_DATA_DIR": str(tmp_path / "there")}).secret_key == keys.secret_key


@pytest.mark.parametrize(
    ("passphrase", "repeated", "field"),
    [
        ("short", "short", "passphrase"),
        ("x" * 300, "x" * 300, "passphrase"),
        ("a" * 20, "b" * 20, "repeated"),
    ],
)
def test_a_passphrase_is_long_and_typed_twice_the_same(home, cast, passphrase, repeated, field):
    with pytest.raises(Invalid) as refused:
        recovery.make(passphrase, repeated, by=by(cast.ada), now=NOW)

    assert set(refused.value.errors) == {field}
    assert recovery.state(NOW).kind == recovery.NEVER


def test_a_download_is_on_the_trail_and_remembered(home, cast):
    make(cast)

    event = audit.history(audit.INSTALLATION)[0]
    assert (event["act"], event["by"]["id"]) == ("recovery_key.downloaded", cast.ada.id)
    assert recovery.state(NOW) == recovery.State(recovery.KEPT, "Ada", NOW)
    assert "Ada downloaded the recovery key on 23 Nov 2026" in recovery.in_words(recovery.state(NOW))


@pytest.mark.parametrize("change", ["encryption key", "secret key", "seal key"])
def test_changed_keys_ask_for_a_new_one(home, cast, change):
    make(cast)
    old = key_sets.gather(home.settings)
    more = {
        "encryption key": {
            "ENCRYPTION_KEYS": base64.urlsafe_b64encode(b"n" * 32).decode() + "," + old.encryption_keys
        },
        "secret key": {"SECRET_KEY": "t" * 40},
        "seal key": {},
    }[change]
    restarted(home, **more)
    if change == "seal key":
        path = home.settings.authority_dir / "seal.pem"
        path.write_bytes(path.read_bytes() + (home.settings.authority_dir / "ca.pem").read_bytes())

    assert recovery.state(NOW).kind == recovery.OUTDATED
    assert "have changed" in recovery.in_words(recovery.state(NOW))
    make(cast, now=NOW + timedelta(hours=1))
    assert recovery.state(NOW + timedelta(hours=1)).is_good


def test_a_new_timestamp_authority_is_no_change_of_keys(home, cast):
    make(cast)
    (home.settings.authority_dir / "timestamps.pem").write_bytes(home.authority.ca_pem)

    assert recovery.state(NOW).is_good


def test_administrators_are_asked_once_real_people_are_written_to(home, cast):
    from portal.services import home as first_page

    assert first_page.duties_of(cast.ada, NOW) == []
    restarted(home, **REAL)

    assert [row.path for row in first_page.duties_of(cast.ada, NOW)] == ["/settings/recovery"]
    assert first_page.duties_of(cast.ana, NOW) == []
    make(cast)
    assert first_page.duties_of(cast.ada, NOW) == []
