"""NonceBook: fresh, replayed, forgotten."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from ims_core.wire.nonce_book import NonceBook, NonceVerdict

_OCTETS = bytes(range(16))


def test_a_nonce_is_accepted_once_per_count() -> None:
    book = NonceBook()
    nonce = book.issue(0.0, _OCTETS)
    assert nonce == _OCTETS.hex()
    assert book.use(nonce, 1, 1.0) is NonceVerdict.ACCEPTED
    assert book.use(nonce, 1, 2.0) is NonceVerdict.REPLAYED
    assert book.use(nonce, 2, 3.0) is NonceVerdict.ACCEPTED
    assert NonceVerdict.REPLAYED.is_stale


def test_counts_that_overtook_each_other_are_accepted_once_each() -> None:
    book = NonceBook()
    nonce = book.issue(0.0, _OCTETS)
    verdicts = [book.use(nonce, count, 1.0) for count in (3, 1, 2, 1, 70, 5, 7)]
    accepted, replayed = NonceVerdict.ACCEPTED, NonceVerdict.REPLAYED
    assert verdicts == [accepted, accepted, accepted, replayed, accepted, replayed, accepted]


def test_without_a_count_a_nonce_is_good_for_one_request() -> None:
    book = NonceBook()
    nonce = book.issue(0.0, _OCTETS)
    assert book.use(nonce, None, 1.0) is NonceVerdict.ACCEPTED
    assert book.use(nonce, None, 1.0) is NonceVerdict.REPLAYED


def test_an_unused_nonce_dies_after_240_seconds() -> None:
    book = NonceBook()
    nonce = book.issue(1000.0, _OCTETS)
    assert book.use(nonce, 1, 1240.0) is NonceVerdict.UNKNOWN
    nonce = book.issue(1000.0, _OCTETS)
    assert book.use(nonce, 1, 1239.9) is NonceVerdict.ACCEPTED


def test_a_used_nonce_lives_on_from_its_last_use() -> None:
    book = NonceBook(life_s=10.0, used_life_s=100.0)
    nonce = book.issue(0.0, _OCTETS)
    assert book.use(nonce, 1, 9.0) is NonceVerdict.ACCEPTED
    assert book.use(nonce, 2, 100.0) is NonceVerdict.ACCEPTED
    assert book.use(nonce, 3, 199.0) is NonceVerdict.ACCEPTED
    assert book.use(nonce, 4, 299.0) is NonceVerdict.UNKNOWN


def test_a_nonce_of_somebody_else_is_unknown() -> None:
    assert NonceBook().use("made-up", 1, 0.0) is NonceVerdict.UNKNOWN


def test_a_flood_of_challenges_stays_bounded_and_spares_nonces_in_use() -> None:
    book = NonceBook(capacity=10)
    nonce = book.issue(0.0, _OCTETS)
    assert book.use(nonce, 1, 0.0) is NonceVerdict.ACCEPTED
    for number in range(1000):
        book.issue(1.0, number.to_bytes(16, "big"))
    assert len(book) == 11
    assert book.use(nonce, 2, 2.0) is NonceVerdict.ACCEPTED


def test_used_nonces_are_bounded_too() -> None:
    book = NonceBook(capacity=10)
    for number in range(100):
        assert not book.use(book.issue(1.0, number.to_bytes(16, "big")), 1, 1.0).is_stale
    assert len(book) == 10


def test_old_nonces_are_forgotten_by_themselves() -> None:
    book = NonceBook(life_s=10.0)
    for number in range(100):
        nonce = book.issue(float(number), number.to_bytes(16, "big"))
        book.use(nonce, 1, float(number))
    assert len(book) <= 10


def test_a_nonce_that_could_be_guessed_is_refused() -> None:
    with pytest.raises(LocalProtocolError):
        NonceBook().issue(0.0, b"short")


@given(st.lists(st.integers(0, 2**32 - 1) | st.integers(1, 100), max_size=200))
def test_no_count_is_ever_accepted_twice(counts: list[int]) -> None:
    book = NonceBook()
    nonce = book.issue(0.0, _OCTETS)
    accepted = [count for count in counts if book.use(nonce, count, 1.0) is NonceVerdict.ACCEPTED]
    assert len(accepted) == len(set(accepted))
