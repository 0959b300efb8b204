"""The wall around sample data: one loose stone and `/mailbox` and one-press sign-in are gone."""

from __future__ import annotations

import pytest

from portal import settings
from portal.app import create_app
from portal.models.people import Person
from portal.services import installation

HERE = {"REMOTE_ADDR": "127.0.0.1", "SERVER_NAME": "127.0.0.1", "HTTP_HOST": "127.0.0.1:8000"}


def portal(home, *, sample=True, **given):
    """A client on the same database, started with other settings."""
    folder = home.settings.data_dir
    if sample:
        (folder / "sample").write_text("invented")
    made = settings.read(
        {"COUNTERSIGN_DATA_DIR": str(folder), "COUNTERSIGN_DATABASE_URL": home.settings.database_url}
        | {f"COUNTERSIGN_{name}": value for name, value in given.items()}
    )
    app = create_app(made)
    app.testing = True
    app.config["WTF_CSRF_ENABLED"] = False
    return app.test_client()


def sample_person(now):
    return Person.create(
        name="Nora", email="nora@sample.example", is_sample=True, created_at=now, activated_at=now
    )


def test_inside_the_wall_messages_and_one_press_sign_in_are_there(home, now):
    nora = sample_person(now)
    client = portal(home)

    assert client.get("/mailbox", environ_overrides=HERE).status_code == 200
    assert "Nora" in client.get("/sign-in", environ_overrides=HERE).text
    answer = client.post(f"/mailbox/people/{nora.id}/session", environ_overrides=HERE)
    assert answer.status_code == 303
    assert client.get("/", environ_overrides=HERE).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Forwarded": "for=192.0.2.1"},
        {"X-Forwarded-For": "192.0.2.1"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-Forwarded-Host": "localhost"},
        {"X-Forwarded-Proto": "https"},
        {"x-forwarded-anything": ""},
        {"Via": "1.1 proxy"},
        {"X-Real-IP": "192.0.2.1"},
        {"Host": "contracts.example.com"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "localhost.evil.example"},
        {"Host": "evil.example#localhost"},
        {"Host": "localhost@evil.example"},
        {"Host": "0.0.0.0"},
        {"Host": "[::ffff:192.0.2.1]"},
        {"Host": ""},
    ],
)
def test_no_header_opens_the_wall_and_every_trace_of_a_proxy_closes_it(home, now, headers):
    nora = sample_person(now)
    client = portal(home)
    environ = HERE | ({"HTTP_HOST": headers["Host"]} if "Host" in headers else {})
    rest = {k: v for k, v in headers.items() if k != "Host"}

    for path in ("/mailbox", "/mailbox/x", "/mailbox/x/mail.html"):
        assert client.get(path, headers=rest, environ_overrides=environ).status_code in (400, 404)
    pressed = client.post(f"/mailbox/people/{nora.id}/session", headers=rest, environ_overrides=environ)
    assert pressed.status_code in (400, 403, 404)
    assert "Nora" not in client.get("/sign-in", headers=rest, environ_overrides=environ).text


@pytest.mark.parametrize(
    "environ",
    [
        {"REMOTE_ADDR": "192.0.2.7"},
        {"REMOTE_ADDR": "10.0.0.5"},
        {"REMOTE_ADDR": ""},
        {"SERVER_NAME": "0.0.0.0"},
        {"SERVER_NAME": "192.0.2.10"},
    ],
)
def test_another_machine_or_a_public_bind_is_outside(home, now, environ):
    sample_person(now)
    client = portal(home)

    assert client.get("/mailbox", environ_overrides=HERE | environ).status_code == 404
    assert "Nora" not in client.get("/sign-in", environ_overrides=HERE | environ).text


@pytest.mark.parametrize(
    "given",
    [
        {"BASE_URL": "https://contracts.example.com"},
        {"MAIL_URL": "smtp://mail.example.com:25"},
        {"SMS_URL": "webhook+https://sms.example.com/send"},
    ],
)
def test_a_portal_that_reaches_real_people_has_no_mailbox(home, now, given):
    nora = sample_person(now)
    client = portal(home, **given)

    assert client.get("/mailbox", environ_overrides=HERE).status_code == 404
    assert client.post(f"/mailbox/people/{nora.id}/session", environ_overrides=HERE).status_code == 404


def test_an_unmarked_data_folder_has_no_mailbox(home, now):
    sample_person(now)

    assert portal(home, sample=False).get("/mailbox", environ_overrides=HERE).status_code == 404


def test_one_press_never_opens_a_real_account(home, cast, now):
    client = portal(home)

    for person in (cast.ana, cast.ada, cast.cleo):
        answer = client.post(f"/mailbox/people/{person.id}/session", environ_overrides=HERE)
        assert answer.status_code == 404
    outside = Person.create(
        name="Zoe",
        email="zoe@sample.example",
        is_sample=True,
        created_at=now,
        counterparty_id=cast.customer.id,
    )
    assert client.post(f"/mailbox/people/{outside.id}/session", environ_overrides=HERE).status_code == 404


def test_serve_never_marks_a_folder_as_sample(home):
    assert installation.current().settings.sample_marker.exists() is False
