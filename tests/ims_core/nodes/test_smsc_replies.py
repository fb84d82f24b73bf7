"""Answers to submitters."""

from __future__ import annotations

from ims_core.nodes.smsc_actions import Answered
from ims_core.nodes.smsc_book import MessageBook
from ims_core.nodes.smsc_queue import Reply
from ims_core.nodes.smsc_replies import Replies
from ims_core.wire.sms.rpdu import RpCause
from tests.support.short_messages import Directory, smsc_of
from tests.support.smsc_bench import NOW, smsc_config


def test_a_ticket_is_answered_when_all_parts_are_with_the_first_refusal() -> None:
    book = MessageBook(smsc_config(), Directory(), smsc_of)
    replies = Replies(book)
    replies.open_ticket(5, 3)
    for cause in (RpCause.CONGESTION, RpCause.UNASSIGNED_NUMBER, RpCause.CONGESTION):
        assert book.out == []
        replies.refuse(Reply(None, 5), cause, None, NOW)
    assert book.out == [Answered(5, RpCause.CONGESTION)]


def test_a_link_that_is_gone_gets_no_answer() -> None:
    book = MessageBook(smsc_config(), Directory(), smsc_of)
    Replies(book).refuse(Reply(9, 1, 7), RpCause.CONGESTION, None, NOW)
    Replies(book).refuse(None, RpCause.CONGESTION, None, NOW)
    assert book.out == []
