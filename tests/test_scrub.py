"""Secrets are taken out of any text, whatever shape they come in; the rest stays readable."""

from __future__ import annotations

import base64

import pytest

from portal import scrub, settings

CANARY = "kanarie42Zx"


@pytest.fixture
def known(monkeypatch):
    """Secrets of an installation that is not this one."""
    monkeypatch.setattr(scrub, "_known", set())
    monkeypatch.setattr(scrub, "_literals", None)


@pytest.mark.parametrize(
    "said",
    [
        f"GET /sign/{CANARY} HTTP/1.1",
        f"http://127.0.0.1/access/{CANARY}?x=1",
        f"/password-reset/{CANARY}",
        f"/invitation/{CANARY}/go",
        f"/mine/{CANARY}",
        f"smtp://user:{CANARY}@mail.example:25 refused",
        f"webhook+https://{CANARY}@gateway.example/sms",
        f"postgresql://portal:{CANARY}@db/x",
        f"GET /x?page=2&token={CANARY}&y=1",
        f"https://idp.example/cb?code={CANARY}",
        f"otpauth://totp/Ana?secret={CANARY}&issuer=x",
        f"https://api.example/v1?api_key={CANARY}",
        f"Authorization: Bearer {CANARY}.more-of-it",
        f"{{'Authorization': 'Basic {CANARY}=='}}",
        f"('authorization', b'{CANARY}')",
        f"Cookie: countersign={CANARY}; language=fr",
        f"Set-Cookie: __Host-countersign={CANARY}; Path=/",
        f"X-Api-Key: {CANARY}",
        f"sent bearer {CANARY} to the provider",
        f"password={CANARY}",
        f'{{"password": "{CANARY} with a space", "name": "Ana"}}',
        f"KeyError: {{'client_secret': '{CANARY}'}}",
        f"totp_secret = {CANARY}",
        "your code is 918273",
        "code 918273 was refused",
        '{"code": "9182x3"}',
        f"-----BEGIN EC PRIVATE KEY-----\n{CANARY}\n-----END EC PRIVATE KEY-----",
        f"-----BEGIN PRIVATE KEY-----\n{CANARY}",
        f"$argon2id$v=19$m=8,t=1,p=1${CANARY}",
    ],
)
def test_no_secret_is_left_by_its_shape(said):
    left = scrub.text(said)

    assert scrub.HIDDEN in left
    for secret in (CANARY, "918273", "9182x3", "with a space"):
        assert secret not in left


@pytest.mark.parametrize(
    "said",
    [
        "the gateway answered 503",
        "status code 503 for LF-2026-0147",
        "550 5.1.1 <claire@castellan.example>: Recipient address rejected",
        "envelope 1m891m219p3skczzyw9n: sealed without an outside time",
        "/sign/<token>",
        "/contracts/LF-2026-0147/recipients",
        'File "portal/services/jobs.py", line 203, in run',
        "postgresql://127.0.0.1:5432/countersign is away",
    ],
)
def test_what_is_no_secret_stays(said):
    assert scrub.text(said) == said


def test_values_of_secret_settings_are_hidden_in_every_form(known, tmp_path):
    key = base64.urlsafe_b64encode(b"k" * 31 + b"\xff").decode()
    made = settings.read({
        "COUNTERSIGN_DATA_DIR": str(tmp_path), "COUNTERSIGN_SECRET_KEY": "s" * 31 + "7",
        "COUNTERSIGN_ENCRYPTION_KEYS": key, "COUNTERSIGN_MAIL_URL": "smtp://mailer:p%40ss-word@mail.example",
        "COUNTERSIGN_SMS_URL": "webhook+https://hook-key@sms.example/x",
        "COUNTERSIGN_DATABASE_URL": "postgresql://portal:db-word@127.0.0.1/x",
        "COUNTERSIGN_STORAGE_URL": "s3://bucket/x?endpoint=http://e",
        "COUNTERSIGN_SEAL_P12_PASSWORD": "p12-word", "COUNTERSIGN_METRICS_TOKEN": "metrics-token-123",
    })  # fmt: skip
    scrub.hide(settings.secret_values(made))

    for secret in ("s" * 31 + "7", key, "p%40ss-word", "p@ss-word", "hook-key", "db-word", "p12-word",
                   "metrics-token-123", (b"k" * 31 + b"\xff").hex()):  # fmt: skip
        assert scrub.text(f"it broke near {secret} today") == f"it broke near {scrub.HIDDEN} today", secret
    assert scrub.text("portal mailer bucket") == "portal mailer bucket"


def test_a_value_within_lists_and_objects_is_hidden_too(known):
    scrub.hide([CANARY])

    assert scrub.value({"a": [CANARY, {"b": f"x{CANARY}"}], CANARY: 7, "n": None}) == {
        "a": [scrub.HIDDEN, {"b": f"x{scrub.HIDDEN}"}], scrub.HIDDEN: 7, "n": None,
    }  # fmt: skip


def test_each_line_of_a_key_is_hidden_however_its_lines_are_broken(known):
    lines = [f"{number}{'k3yMat3rial' * 5}" for number in range(3)]
    scrub.hide(["\n".join(["-----BEGIN KEY-----", *lines, "-----END KEY-----"])])

    for line in lines:
        assert line not in scrub.text(f"key: {line}\\n{line}")
    assert scrub.text("-----BEGIN KEY-----") == "-----BEGIN KEY-----"


def test_too_short_a_value_is_left_alone(known):
    scrub.hide(["", "abc"])

    assert scrub.text("abcdef") == "abcdef"


def test_every_address_with_a_token_is_known(app):
    """A new page that takes a token is found here before its first line of log."""
    for rule in app.url_map.iter_rules():
        if "<token>" in rule.rule:
            address = rule.rule.replace("<token>", CANARY)
            assert CANARY not in scrub.text(f"GET {address}"), rule.rule
