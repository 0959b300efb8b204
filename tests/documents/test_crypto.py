from __future__ import annotations

import os

import pytest

from portal.documents.crypto import HEADER, PIECE, TAG, DocumentCipher, SecretBox, Unreadable

KEYS = [bytes([number]) * 32 for number in range(3)]


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 3 * PIECE + 7])
def test_a_document_comes_back_as_it_was(size):
    cipher = DocumentCipher(KEYS[:1])
    plain = os.urandom(size)

    blob = cipher.seal("contract-1", plain)

    assert cipher.open("contract-1", blob) == plain
    assert len(blob) == HEADER + size + TAG * max(1, -(-size // PIECE))


def test_a_swapped_record_is_refused():
    cipher = DocumentCipher(KEYS[:1])
    blob = cipher.seal("contract-1", b"price: 100")

    with pytest.raises(Unreadable):
        cipher.open("contract-2", blob)


def test_changed_cut_and_reordered_pieces_are_refused():
    cipher = DocumentCipher(KEYS[:1])
    blob = cipher.seal("a", os.urandom(3 * PIECE))
    piece = PIECE + TAG
    first, second = blob[HEADER : HEADER + piece], blob[HEADER + piece : HEADER + 2 * piece]
    rest = blob[HEADER + 2 * piece :]
    changed = [
        blob[:-1],
        blob[:-piece],
        blob + b"\0",
        blob[:HEADER] + second + first + rest,
        blob[:HEADER],
        b"",
        b"%PDF-1.7",
        *(blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :] for at in (0, 5, 13, 30, 75, 90, len(blob) - 1)),
    ]

    for bad in changed:
        with pytest.raises(Unreadable):
            cipher.open("a", bad)


def test_a_new_first_key_reads_the_old_and_rewraps_without_touching_the_pieces():
    old = DocumentCipher(KEYS[:1])
    blob = old.seal("a", b"text" * 1000)
    both = DocumentCipher([KEYS[1], KEYS[0]])

    moved = both.rewrap("a", blob)

    assert both.open("a", blob) == b"text" * 1000
    assert moved[HEADER:] == blob[HEADER:]
    assert DocumentCipher([KEYS[1]]).open("a", moved) == b"text" * 1000
    with pytest.raises(Unreadable):
        old.open("a", moved)
    with pytest.raises(Unreadable):
        both.rewrap("b", blob)


def test_secrets_open_with_any_key_and_only_unchanged():
    sealed = SecretBox(KEYS[:1]).seal("JBSWY3DPEHPK3PXP")
    both = SecretBox([KEYS[1], KEYS[0]])

    assert "JBSWY3DP" not in sealed
    assert both.open(sealed) == "JBSWY3DPEHPK3PXP"
    assert SecretBox([KEYS[1]]).open(both.rewrap(sealed)) == "JBSWY3DPEHPK3PXP"
    with pytest.raises(Unreadable):
        SecretBox([KEYS[2]]).open(sealed)
    with pytest.raises(Unreadable):
        both.open(sealed[:-2] + "AA")
