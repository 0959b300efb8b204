from __future__ import annotations

import hashlib

import pytest

from portal.errors import Conflict, Invalid
from portal.models.envelopes import Consent, Task
from portal.models.notices import Notice
from portal.services import acts, consent_texts, consents
from tests.services import ceremony_steps as steps
from tests.services.signing import ready, recipient, sent, theirs

# The parts of 15 USC 7001(c), and a word in each language by which each is found.
PARTS = {
    "(B)(i) right to paper": ("on paper", "sur papier"),
    "(B)(i) right to withdraw": ("take this consent back", "retirer cet accord"),
    "(B)(i) consequences": ("you cannot sign here", "vous ne pouvez plus signer ici"),
    "(B)(i) fees of withdrawing": ("It costs nothing", "C’est gratuit"),
    "(B)(ii) scope": ("only, no other contract", "seulement, et sur aucun autre contrat"),
    "(B)(iii) how to withdraw": ("Press “Take back my consent”", "Appuyez sur « Retirer mon accord »"),
    "(B)(iii) how to update contact": ("Write to paper@x.example when", "Écrivez à paper@x.example lorsque"),
    "(B)(iv) how to get paper": ("Press “Ask for paper”", "Appuyez sur « Demander le papier »"),
    "(B)(iv) fee of paper": ("free of charge", "gratuites"),
    "(C)(i) hardware and software": ("A current browser", "Un navigateur récent"),
    "(D) changed needs": ("If they change", "S’ils changent"),
}


@pytest.fixture
def envelope(cast, now, run_jobs):
    return sent(cast, now, run_jobs)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("language", ["en", "fr"])
def test_every_part_the_law_asks_for_is_said(envelope, part, language):
    text = consents.text(envelope.contract, contact="paper@x.example", language=language)

    wanted = PARTS[part][0 if language == "en" else 1]
    assert wanted in text.words.replace("\u00a0", " ")
    assert envelope.contract.reference in text.words


def test_no_text_claims_a_higher_level():
    words = " ".join(body for sections in consent_texts.SECTIONS.values() for _h, body in sections).lower()

    for claim in ("advanced", "qualified", "avancée", "qualifiée", "aes", "qes"):
        assert claim not in words.split()
    assert "signature électronique simple" in words


def test_both_languages_have_the_same_sections():
    english, french = consent_texts.SECTIONS["en"], consent_texts.SECTIONS["fr"]

    assert len(english) == len(french)
    assert not {heading for heading, _body in english} & {heading for heading, _body in french}


def test_the_exact_text_and_its_hash_are_kept(envelope, now):
    place = steps.enter(envelope, "claire", now)
    acts.agree(place(), "fr", None, by=place().actor(), now=now)

    given = Consent.get()
    assert given.language == "fr"
    assert hashlib.sha256(given.text.encode()).hexdigest() == given.text_sha256
    assert (
        given.text_sha256 == consents.text(envelope.contract, contact=place().contact, language="fr").sha256
    )
    assert given.demonstration == ""


def test_reading_is_the_demonstration_recorded_at_the_confirm(envelope, now):
    place = steps.enter(envelope, "claire", now)
    steps.agree(place, now)
    steps.prepare(place, now)
    steps.confirm(place, now)

    assert Consent.get().demonstration == "reading_pages"


def test_a_consumer_cannot_pass_without_the_word(cast, now, run_jobs):
    envelope = sent(cast, now, run_jobs, ready(cast, now, [theirs(is_consumer=True)]))
    place = steps.enter(envelope, "claire", now)
    who = recipient(envelope, "claire")
    right = consents.word_for(who, "fr")
    wrong = next(word for words in consent_texts.WORDS.values() for word in words
                 if word not in (right, consents.word_for(who, "en")))  # fmt: skip

    for typed in (None, "", wrong):
        with pytest.raises(Invalid) as refusal:
            acts.agree(place(), "fr", typed, by=place().actor(), now=now)
        assert "word" in refusal.value.errors
    acts.agree(place(), "fr", f" {right.upper()} ", by=place().actor(), now=now)

    assert Consent.get().demonstration == "word_typed"


def test_words_differ_between_recipients_and_stay_for_each(cast, now, run_jobs):
    found = set()
    for _number in range(8):
        envelope = sent(cast, now, run_jobs)
        who = recipient(envelope, "claire")
        found.add(consents.word_for(who, "en"))
        assert consents.word_for(who, "en") == consents.word_for(who, "en")

    assert len(found) > 3


def test_taking_it_back_stops_reminders_and_tells_the_sender(envelope, now):
    place = steps.enter(envelope, "claire", now)
    steps.agree(place, now)

    for _press in range(2):
        consents.withdraw(place().recipient, place().contract, by=place().actor(), now=now)

    who = recipient(envelope, "claire")
    assert (who.problem, who.next_reminder_at) == ("consent_withdrawn", None)
    assert Task.select().count() == 1
    assert Notice.select().where(Notice.kind == "signer_task").count() == 1
    with pytest.raises(Conflict):
        consents.demand(who)
