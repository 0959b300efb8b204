from __future__ import annotations

import pytest

from portal.errors import Invalid
from portal.services import passwords

OWN = ("Ana Ferreira", "ana.ferreira@larkfield.example")


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple once more",
        "Élodie mange des prunes à 7 heures, en été comme en hiver, avec son chat",
        "x" * 5 + "vwyz" * 3,
        "tr0ubadour&3",
        "маленький дом у реки",
        "kv9#mQ2p",
        "the herons of Arcachon came back in March and nobody had repaired their nests, " * 2,
    ],
)
def test_good_passwords_are_taken_whatever_their_characters(password: str) -> None:
    assert passwords.demand_good(password, own=OWN)
    assert passwords.matches(password, passwords.hashed(password))


@pytest.mark.parametrize(
    "password",
    [
        "Password1!", "P@ssw0rd", "p4ssw0rd!!", "password", "PASSWORD123", "motdepasse1", "Motdepasse2026!",
        "azerty123", "qwertyuiop", "12345678", "87654321", "aaaaaaaa", "abababab", "passwordpassword",
        "letmein1", "welcome2026", "Bienvenue1", "Summer2026!", "countersign1", "pass word 1", "abcdefgh",
        "iloveyou1", "Décembre2026", "ana.ferreira", "Ferreira1", "larkfield26", "anaferreira!",
    ],
)  # fmt: skip
def test_known_passwords_their_variations_and_ones_own_name_are_refused(password: str) -> None:
    with pytest.raises(Invalid):
        passwords.demand_good(password, own=OWN)


def test_length_depends_on_whether_there_is_a_second_factor() -> None:
    assert passwords.demand_good("kv9#mQ2p")
    for short, alone in (("kv9#mQ2", False), ("kv9#mQ2pkv9#mQ", True)):
        with pytest.raises(Invalid) as refused:
            passwords.demand_good(short, alone=alone)
        assert "Use at least" in refused.value.errors["password"]
    assert passwords.demand_good("kv9#mQ2p rT4!z7", alone=True)
    with pytest.raises(Invalid):
        passwords.demand_good("kv9#mQ2p" * 40)


def test_nobody_matches_without_a_hash() -> None:
    assert not passwords.matches("nobody has this password", None)
    assert not passwords.matches("", "not a hash")
    assert not passwords.matches("x" * 100_000, passwords.hashed("x" * 1024) + "0")
