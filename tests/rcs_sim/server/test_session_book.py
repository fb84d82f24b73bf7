from __future__ import annotations

from rcs_sim.server.session_book import SessionBook

A, B = "tel:+1", "tel:+2"


class Session:
    def __init__(self) -> None:
        self.retired_at: list[float] = []

    def retire(self, now: float) -> None:
        self.retired_at.append(now)


class Pending:
    def __init__(self, has_rung: bool = False) -> None:
        self.has_rung = has_rung


def test_a_user_has_so_many_sessions_and_the_server_so_many() -> None:
    book = SessionBook(max_per_user=2, max_total=3)
    for user in (A, A, B):
        assert book.has_room(user)
        book.enter(user)
    assert not book.has_room(A)
    assert not book.has_room(B)
    book.leave(A)
    assert book.has_room(A)
    assert len(book) == 2


def test_a_new_session_of_a_pair_retires_the_one_before_s15() -> None:
    book, first, second = SessionBook(9, 9), Session(), Session()
    book.stand((A, B), first, 1.0)
    book.stand((B, A), Session(), 1.0)
    book.stand((A, B), second, 2.0)
    assert first.retired_at == [2.0]
    book.fall((A, B), first)
    assert book.standing((A, B)) is second
    book.fall((A, B), second)
    assert book.standing((A, B)) is None


def test_of_two_invites_that_cross_the_one_of_the_lower_key_is_kept_by_both_servers() -> None:
    of_a, of_b = SessionBook(9, 9), SessionBook(9, 9)
    mine, theirs = Pending(), Pending()
    of_a.begin((A, B), mine)
    of_b.begin((B, A), theirs)
    assert of_a.is_glare((A, B))
    assert not of_b.is_glare((B, A))


def test_an_invite_that_has_rung_or_was_answered_crosses_nothing() -> None:
    book, pending = SessionBook(9, 9), Pending(has_rung=True)
    book.begin((A, B), pending)
    assert not book.is_glare((A, B))
    pending.has_rung = False
    assert book.is_glare((A, B))
    book.settle((A, B), Pending())
    assert book.is_glare((A, B))
    book.settle((A, B), pending)
    assert not book.is_glare((A, B))


def test_what_waits_for_an_answer_is_counted_for_each_pair() -> None:
    book = SessionBook(2, 3)
    pair, other = ("bob", "alice"), ("bob", "carol")
    book.set_up(pair)
    book.set_up(pair)
    assert (book.setting_up(pair), book.setting_up(other)) == (2, 0)
    book.answered(pair)
    assert book.setting_up(pair) == 1
    book.answered(pair)
    assert book.setting_up(pair) == 0


def test_a_book_that_is_closed_has_no_room() -> None:
    book = SessionBook(2, 3)
    assert book.has_room("bob")
    book.close()
    assert not book.has_room("bob")
