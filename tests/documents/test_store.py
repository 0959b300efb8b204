from __future__ import annotations

import os
import stat
import threading

import pytest

from portal.documents import store
from portal.documents.crypto import DocumentCipher, Unreadable
from portal.documents.store import EncryptedStore, FileStore, Missing, S3Store, Taken, open_store

CIPHER = DocumentCipher([b"k" * 32])


@pytest.fixture
def s3_url(bucket):
    return f"s3://contracts/kept?endpoint={bucket.url}&region=eu-west-3"


@pytest.fixture(params=["file", "s3", "encrypted file", "encrypted s3"])
def any_store(request, tmp_path):
    kind = request.param.split()[-1]
    if kind == "file":
        inner = FileStore(tmp_path / "documents")
    else:
        inner = S3Store(request.getfixturevalue("s3_url"))
    return EncryptedStore(inner, CIPHER) if "encrypted" in request.param else inner


class TestEveryStore:
    def test_what_was_put_comes_back(self, any_store):
        any_store.put("documents/ab/one", b"first" * 50_000)

        assert any_store.get("documents/ab/one") == b"first" * 50_000
        assert any_store.exists("documents/ab/one")
        assert not any_store.exists("documents/ab/two")

    def test_the_same_again_is_fine_and_something_else_is_refused(self, any_store):
        any_store.put("a", b"one")
        any_store.put("a", b"one")

        with pytest.raises(Taken):
            any_store.put("a", b"two")
        assert any_store.get("a") == b"one"

    def test_what_is_not_there_is_missing(self, any_store):
        with pytest.raises(Missing):
            any_store.get("nowhere")
        any_store.delete("nowhere")

    def test_keys_come_in_order_and_by_prefix(self, any_store):
        for key in ("b/2", "a/1", "b/1", "b/3", "c"):
            any_store.put(key, key.encode())

        assert list(any_store.keys()) == ["a/1", "b/1", "b/2", "b/3", "c"]
        assert list(any_store.keys("b/")) == ["b/1", "b/2", "b/3"]

    def test_a_quarantined_document_is_gone(self, any_store):
        any_store.put("a", b"one")

        any_store.delete("a")

        assert not any_store.exists("a")
        any_store.put("a", b"two")
        assert any_store.get("a") == b"two"

    @pytest.mark.parametrize(
        "key", ["", "../a", "a/../b", "/a", "a//b", ".hidden", "a/.draft-1", "a\0", "é", "a" * 201]
    )
    def test_a_key_names_nothing_outside(self, any_store, key):
        with pytest.raises(ValueError, match="a key is made of"):
            any_store.put(key, b"x")
        with pytest.raises(ValueError, match="a key is made of"):
            any_store.get(key)

    def test_of_many_writers_at_once_one_wins_and_all_see_the_same(self, any_store):
        outcomes = []

        def write(number):
            try:
                any_store.put("race", b"writer %d" % number)
                outcomes.append(number)
            except Taken:
                outcomes.append(None)

        writers = [threading.Thread(target=write, args=(number,)) for number in range(8)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()

        winners = [number for number in outcomes if number is not None]
        assert len(outcomes) == 8
        assert len(winners) == 1
        assert any_store.get("race") == b"writer %d" % winners[0]


def test_files_are_private_and_no_draft_stays(tmp_path):
    held = FileStore(tmp_path / "documents")
    held.put("x/y", b"one")
    with pytest.raises(Taken):
        held.put("x/y", b"two")

    names = [name for _folder, _folders, files in os.walk(tmp_path) for name in files]
    assert names == ["y"]
    assert stat.S_IMODE((tmp_path / "documents/x/y").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "documents/x").stat().st_mode) == 0o700


def test_a_full_disk_leaves_neither_document_nor_draft(tmp_path, monkeypatch):
    held = FileStore(tmp_path / "documents")
    held.put("before", b"1")

    def full(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        held.put("after", b"2")

    monkeypatch.undo()
    assert list(held.keys()) == ["before"]
    assert [path.name for path in (tmp_path / "documents").iterdir()] == ["before"]


def test_a_draft_of_a_killed_writer_is_no_document(tmp_path):
    held = FileStore(tmp_path)
    (tmp_path / f"{store.DRAFT}123-abc").write_bytes(b"half")

    assert list(held.keys()) == []


def test_nothing_readable_reaches_the_inner_store(tmp_path):
    inner = FileStore(tmp_path)
    EncryptedStore(inner, CIPHER).put("a", b"a canary sentence" * 100)

    assert b"canary" not in inner.get("a")


def test_swapped_documents_do_not_open(tmp_path):
    inner = FileStore(tmp_path)
    held = EncryptedStore(inner, CIPHER)
    held.put("a", b"price 100")
    held.put("b", b"price 900")
    (tmp_path / "a").write_bytes(inner.get("b"))

    with pytest.raises(Unreadable):
        held.get("a")
    with pytest.raises(Unreadable):
        held.put("a", b"price 100")


def test_the_address_names_the_store(tmp_path, s3_url):
    open_store(f"file:{tmp_path}/d 100%#1", CIPHER).put("a", b"1")
    open_store(f"file://{tmp_path}/d2", CIPHER).put("a", b"1")
    remote = open_store(s3_url, CIPHER)

    assert (tmp_path / "d 100%#1" / "a").is_file()
    assert (tmp_path / "d2" / "a").is_file()
    assert isinstance(remote.inner, S3Store)
    with pytest.raises(ValueError, match="neither"):
        open_store("ftp://x", CIPHER)


def test_the_prefix_keeps_installations_apart(bucket, s3_url):
    S3Store(s3_url).put("a", b"1")

    assert list(bucket.objects) == ["kept/a"]
    assert list(S3Store(s3_url.replace("/kept?", "/other?")).keys()) == []


def test_a_bucket_that_fails_is_an_error_and_never_a_missing_document(bucket, s3_url):
    held = S3Store(s3_url)
    held.put("a", b"1")
    calls = (
        held.get,
        held.exists,
        held.delete,
        lambda key: held.put(key, b"1"),
        lambda key: list(held.keys()),
    )
    for mood in ("denied", "failing"):
        bucket.mood = mood
        for call in calls:
            with pytest.raises(OSError, match="the bucket"):
                call("a")


def test_a_bucket_out_of_reach_is_an_error(bucket):
    held = S3Store("s3://contracts?endpoint=http://127.0.0.1:9&region=eu-west-3")

    with pytest.raises(OSError, match="does not answer"):
        held.get("a")


def test_a_conflict_with_another_writer_is_to_be_tried_again(bucket, s3_url):
    held = S3Store(s3_url)
    bucket.conflict = True

    with pytest.raises(OSError, match="another writer"):
        held.put("a", b"1")
    held.put("a", b"1")

    assert held.get("a") == b"1"


def test_a_content_key_is_the_fingerprint():
    assert (
        store.content_key(b"")
        == f"documents/e3/{'e3b0c442' + '98fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'}"
    )
