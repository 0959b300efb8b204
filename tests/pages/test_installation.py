"""The settings page: where each thing is set, for those who oversee; nothing for others."""

from __future__ import annotations

import pytest

from portal.clock import utc_now
from tests.cast import sign_in


def test_an_administrator_sees_what_can_be_set_and_where_each_setting_comes_from(client, cast, now):
    sign_in(client, cast.ada, utc_now())

    answer = client.get("/settings")

    assert answer.status_code == 200
    assert "COUNTERSIGN_DATA_DIR" in answer.text
    assert "/settings/operations" in answer.text
    assert client.get("/settings/ca.pem").text.startswith("-----BEGIN CERTIFICATE-----")


@pytest.mark.parametrize("path", ["/settings", "/settings/ca.pem"])
def test_owners_and_strangers_do_not_see_it(client, cast, now, path):
    assert client.get(path).status_code in (303, 404)
    sign_in(client, cast.ana, utc_now())
    assert client.get(path).status_code == 403
