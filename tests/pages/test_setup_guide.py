"""The set-up page: an administrator's list of what is left, and home leads there."""

from __future__ import annotations

from portal.clock import utc_now
from tests.cast import sign_in


def test_an_administrator_is_led_from_home_and_sees_the_next_step(client, cast):
    sign_in(client, cast.ada, utc_now())

    assert "Go on with the set-up" in client.get("/").text
    page = client.get("/settings/set-up").text
    assert "Next: Mail" in page
    assert "countersign backup" in page


def test_owners_are_not_bothered_and_not_let_in(client, cast):
    sign_in(client, cast.ana, utc_now())

    assert "Go on with the set-up" not in client.get("/").text
    assert client.get("/settings/set-up").status_code == 403


def test_finding_the_rules_right_moves_on(client, cast):
    sign_in(client, cast.ada, utc_now())

    before = client.get("/settings/set-up").text
    assert "They are right for us" in before
    assert 'id="rules" data-done' not in before

    answer = client.post("/settings/set-up/rules", follow_redirects=True)

    assert "found them right" in answer.text
    assert 'id="rules" data-done' in answer.text
    assert "They are right for us" not in answer.text
