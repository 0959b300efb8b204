"""Passwords: what may be one, and how it is kept.

Length and a block-list decide, no rules about kinds of characters: eight characters beside a
second factor, fifteen alone; spaces and every letter of every script are welcome. Kept as
argon2id with the parameters OWASP's password storage sheet names (19 MiB, 2 passes, 1 lane).
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING

from portal.errors import Invalid
from portal.i18n import gettext as _

if TYPE_CHECKING:
    from argon2 import PasswordHasher

LEAST_WITH_FACTOR = 8
LEAST_ALONE = 15
MOST = 256

# The words behind what people choose most; endings, digits and look-alike letters are taken off first.
WORDS = """
    password passwort motdepasse pass passe secret letmein welcome bienvenue bonjour hello salut login
    admin administrator administrateur root user guest test testing default changeme access master
    superman batman spiderman pokemon starwars ninja dragon monkey shadow princess princesse sunshine
    soleil football baseball basketball hockey soccer rugby tennis jordan michael jennifer jessica
    ashley daniel charlie thomas nicolas chocolat chocolate doudou loulou marseille paris london
    liverpool arsenal chelsea manchester america france england qwerty azerty qwertz asdfgh zxcvbn
    qwertyuiop azertyuiop asdfghjkl zxcvbnm iloveyou jetaime loveyou lovely love amour cheese coffee
    computer ordinateur internet server serveur database network security securite trustno whatever
    freedom liberte summer winter spring autumn ete hiver printemps automne january february march
    april may june july august september october november december janvier fevrier mars avril mai
    juin juillet aout septembre octobre novembre decembre monday tuesday wednesday thursday friday
    saturday sunday lundi mardi mercredi jeudi vendredi samedi dimanche contract contracts contrat
    contrats countersign signature support service company entreprise office bureau business
    mustang ferrari porsche mercedes yamaha harley killer hunter buster soccer tigger ginger pepper
    maggie cookie biscuit banana orange apple microsoft google facebook linkedin samsung oracle
    salesforce donald matrix phoenix thunder silver golden diamond flower butterfly angel angels
    mickey minnie snoopy garfield abcdef abcdefgh abcdefghij abc abcd aaaaaa passphrase supersecret
    topsecret newpassword mypassword monmotdepasse hunter correcthorsebatterystaple
"""
COMMON = frozenset(WORDS.split())
LOOK_ALIKE = str.maketrans(
    {
        "0": "o",
        "1": "i",
        "3": "e",
        "4": "a",
        "5": "s",
        "7": "t",
        "8": "b",
        "@": "a",
        "$": "s",
        "!": "i",
        "|": "l",
    }
)
ROWS = ("01234567890", "09876543210", "abcdefghijklmnopqrstuvwxyz", "qwertyuiop", "azertyuiop", "asdfghjkl",
        "qsdfghjklm", "zxcvbnm", "wxcvbn", "qwertzuiop")  # fmt: skip


def demand_good(
    password: str, *, own: tuple[str, ...] = (), alone: bool = False, field: str = "password"
) -> str:
    """The password in one spelling (NFKC). Raises Invalid with the reason when it cannot be taken.

    `own` are the person's name and mail address; `alone` says there is no second factor.
    """
    text = one_spelling(password)
    least = LEAST_ALONE if alone else LEAST_WITH_FACTOR
    if len(text) < least:
        words = _("Use at least %(least)s characters. A short sentence is easy to keep in mind.", least=least)
        raise Invalid({field: words})
    if len(text) > MOST:
        raise Invalid({field: _("Use at most %(most)s characters.", most=MOST)})
    if is_common(text):
        raise Invalid({field: _("This is among the first passwords anybody tries. Choose another one.")})
    if is_own(text, own):
        raise Invalid({field: _("This is too close to your name or mail address. Choose another one.")})
    return text


def one_spelling(password: str) -> str:
    return unicodedata.normalize("NFKC", password)


def is_common(text: str) -> bool:
    """A known password, a variation of one, one repeated, or a walk along the keyboard."""
    plain = unbroken(text.lower())
    if len(set(plain)) < 5:
        return True
    variants = {plain, shortest_period(plain)}
    variants |= {variant.translate(LOOK_ALIKE) for variant in set(variants)}
    variants |= {core(variant) for variant in set(variants)}
    variants |= {core(text.lower()).translate(LOOK_ALIKE), shortest_period(core(plain))}
    return any(variant in COMMON or is_walk(variant) for variant in variants if variant)


def unbroken(text: str) -> str:
    """Without spaces, separators and accents."""
    apart = unicodedata.normalize("NFD", text)
    return "".join(c for c in apart if not unicodedata.combining(c) and c not in " -_.,'\u00a0")


def core(text: str) -> str:
    """Without digits and marks at both ends: `password1!` is `password`."""
    return re.sub(r"^[\W\d_]+|[\W\d_]+$", "", text)


def shortest_period(text: str) -> str:
    """`abcabc` is `abc`."""
    return text[: (text + text).find(text, 1)]


def is_walk(text: str) -> bool:
    return len(text) >= 4 and any(text in row or text[::-1] in row for row in ROWS)


def is_own(text: str, own: tuple[str, ...]) -> bool:
    """Little more than a part of the person's own name or mail address."""
    plain = unbroken(text.lower())
    parts = {unbroken(part) for value in own for part in re.split(r"[\s@.\-_+]+", value.lower())}
    parts |= {unbroken(value.lower().replace("@", "")) for value in own}
    return any(len(part) >= 3 and part in plain and len(plain) - len(part) < 6 for part in parts)


@lru_cache(maxsize=1)
def hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


@lru_cache(maxsize=1)
def nobodys_hash() -> str:
    return hasher().hash("nobody has this password")


def hashed(password: str) -> str:
    return hasher().hash(one_spelling(password))


def matches(password: str, kept: str | None) -> bool:
    """Whether the password is the kept one. Takes as long where none is kept."""
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        right = hasher().verify(kept or nobodys_hash(), one_spelling(password[: 4 * MOST]))
    except (VerificationError, InvalidHashError):
        return False
    return bool(right) and kept is not None


def is_outdated(kept: str) -> bool:
    """Whether it was hashed with other parameters than today's."""
    return hasher().check_needs_rehash(kept)
