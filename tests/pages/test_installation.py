"""The settings page: keys and history for those who oversee, nothing for others."""

from __future__ import annotations

import pytest

from portal.clock import utc_now
from tests.cast import sign_in


def test_an_administrator_sees_the_seal_and_where_each_setting_comes_from(client, cast, now):
    sign_in(client, cast.ada, utc_now())

    answer = client.get("/settings")

    assert answer.status_code == 200
    assert "Larkfield Software Ltd" in answer.text
    assert "COUNTERSIGN_DATA_DIR" in answer.text
    assert client.get("/settings/ca.pem").text.startswith("-----BEGIN CERTIFICATE-----")


def test_checking_the_history_says_that_it_is_whole(client, cast, now):
    sign_in(client, cast.ada, utc_now())

    assert "The trail is whole" in client.post("/settings/trail").text


@pytest.mark.parametrize("path", ["/settings", "/settings/ca.pem"])
def test_owners_and_strangers_do_not_see_it(client, cast, now, path):
    assert client.get(path).status_code in (303, 404)
    sign_in(client, cast.ana, utc_now())
    assert client.get(path).status_code == 403
