from __future__ import annotations

from portal.clock import utc_now
from tests.cast import sign_in


def client_of(app, person):
    client = app.test_client()
    sign_in(client, person, utc_now())
    return client


def test_an_administrator_sees_providers_side_by_side(app, cast):
    page = client_of(app, cast.ada).get("/settings/providers/compare")

    assert page.status_code == 200
    assert "Authenticator app (TOTP)" in page.text
    assert "check with the vendor" in page.text
    assert "25 Nov 2026" in page.text or "25\xa0Nov" in page.text


def test_others_may_not_open_it(app, cast):
    assert client_of(app, cast.ana).get("/settings/providers/compare").status_code in (403, 404)
