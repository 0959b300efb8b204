"""Settings: every fault at once, secrets masked, keys private and made only when asked for."""

from __future__ import annotations

import re
import stat

import pytest

from portal.settings import SETTINGS, BadSettings, describe, is_loopback, masked_url, read


def test_defaults_need_no_setting(tmp_path):
    made = read({"COUNTERSIGN_DATA_DIR": str(tmp_path)})

    assert made.database_url == f"sqlite:///{tmp_path}/countersign.db"
    assert made.uses_mailbox
    assert made.encryption_keys == ()
    assert list(tmp_path.iterdir()) == []


def test_first_start_makes_private_keys_and_keeps_them(tmp_path):
    first = read({"COUNTERSIGN_DATA_DIR": str(tmp_path)}, create_keys=True)
    second = read({"COUNTERSIGN_DATA_DIR": str(tmp_path)}, create_keys=True)

    assert first.encryption_keys == second.encryption_keys
    assert first.secret_key == second.secret_key
    for path in (tmp_path / "keys").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_every_fault_is_named_at_once(tmp_path):
    with pytest.raises(BadSettings) as refused:
        read(
            {
                "COUNTERSIGN_DATA_DIR": str(tmp_path),
                "COUNTERSIGN_MAIL_URL": "http://x",
                "COUNTERSIGN_BASE_URL": "https://x.example/path",
                "COUNTERSIGN_SECRET_KEY": "short",
                "COUNTERSIGN_SEAL_P12": str(tmp_path / "absent.p12"),
            }
        )

    for name in ("MAIL_URL", "BASE_URL", "SECRET_KEY", "SEAL_P12"):
        assert name in str(refused.value)


def test_shown_settings_hide_every_secret(tmp_path):
    made = read(
        {
            "COUNTERSIGN_DATA_DIR": str(tmp_path),
            "COUNTERSIGN_DATABASE_URL": "postgresql://user:hunter2@db.example/portal",
            "COUNTERSIGN_MAIL_URL": "smtp://me:hunter3@mail.example:587",
            "COUNTERSIGN_SECRET_KEY": "hunter4" * 8,
        },
        create_keys=True,
    )

    shown = str(describe(made)) + repr(made)

    for number in (2, 3, 4):
        assert f"hunter{number}" not in str(describe(made))
    assert "hunter4" not in shown
    assert len(describe(made)) == len(SETTINGS)


@pytest.mark.parametrize(
    ("host", "local"),
    [("localhost", True), ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("[::1]", True),
     ("127.0.0.1.evil.example", False), ("0.0.0.0", False), ("10.0.0.1", False), ("", False)],
)  # fmt: skip
def test_loopback_is_only_this_machine(host, local):
    assert is_loopback(host) is local


def test_a_masked_address_keeps_what_is_not_secret():
    assert masked_url("smtp://me:pw@mail.example:587") == "smtp://(hidden)@mail.example:587"
    assert masked_url("mailbox:") == "mailbox:"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"TRUSTED_PROXIES": "10.0.0.1, proxy"}, "TRUSTED_PROXIES holds 'proxy'"),
        ({"TRUSTED_PROXIES": "0.0.0.0/0"}, "which is everybody"),
        ({"TLS_CERT": "/absent/cert.pem"}, "only of use together"),
        ({"TLS_CERT": __file__, "TLS_KEY": "/absent/key.pem"}, "TLS_KEY names /absent/key.pem"),
        (
            {"TLS_CERT": __file__, "TLS_KEY": __file__, "BASE_URL": "http://x.example"},
            "but BASE_URL says http",
        ),
        ({"BASE_URL": "https://x.example:99999"}, "a port or an address that cannot be"),
        ({"BASE_URL": "https://[::1"}, "a port or an address that cannot be"),
        ({"BASE_URL": "https://x.example#part"}, "must end after the host name and port"),
        ({"BASE_URL": "https://me:pw@x.example"}, "no user name or password"),
    ],
)
def test_what_stands_in_front_is_checked_at_start(tmp_path, given, reason):
    with pytest.raises(BadSettings) as refused:
        read({"COUNTERSIGN_DATA_DIR": str(tmp_path)} | {f"COUNTERSIGN_{n}": v for n, v in given.items()})

    assert reason in str(refused.value)


def test_an_own_certificate_means_https_without_a_base_url(tmp_path):
    given = {
        "COUNTERSIGN_DATA_DIR": str(tmp_path),
        "COUNTERSIGN_TLS_CERT": __file__,
        "COUNTERSIGN_TLS_KEY": __file__,
    }

    assert read(given).https
    assert not read({"COUNTERSIGN_DATA_DIR": str(tmp_path)}).https


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("MAIL_URL", "smtp://mail.example?tls=require", "tls=require"),
        ("BOUNCE_URL", "http://mail.example", "imaps:"),
        ("BOUNCE_ADDRESS", "nobody", "not a mail address"),
        ("BOUNCE_ADDRESS", "**@mail.example", "not a mail address"),
        ("DNS_SERVERS", "192.0.2.53, ns.example", "ns.example"),
    ],
)
def test_mail_settings_that_cannot_work_are_reported(name, value, said):
    with pytest.raises(BadSettings, match=re.escape(said)):
        read({f"COUNTERSIGN_{name}": value})


def test_name_servers_are_read_with_and_without_ports():
    given = read({"COUNTERSIGN_DNS_SERVERS": "192.0.2.53, 127.0.0.1:5353, 2001:db8::1, [2001:db8::1]:54"})

    assert given.dns_servers == (
        ("192.0.2.53", 53),
        ("127.0.0.1", 5353),
        ("2001:db8::1", 53),
        ("2001:db8::1", 54),
    )
