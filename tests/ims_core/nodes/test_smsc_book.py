"""Counters and memories of a service centre."""

from __future__ import annotations

from ims_core.nodes.smsc_book import MessageBook
from ims_core.wire.sms.address import Address
from ims_core.wire.sms.tpdu import SmsSubmit
from ims_core.wire.sms.user_data import UserData
from tests.support.short_messages import Directory, smsc_of
from tests.support.smsc_bench import NOW, smsc_config


def _book() -> MessageBook:
    return MessageBook(smsc_config(), Directory(), smsc_of)


def test_numbers_grow_within_one_instant_and_with_the_clock() -> None:
    book = _book()
    numbers = [book.next_number(NOW), book.next_number(NOW), book.next_number(NOW + 1)]
    assert numbers == [1772446684000000, 1772446684000001, 1772446685000000]


def test_stamps_differ_for_equal_content_only() -> None:
    book = _book()
    submit = SmsSubmit(message_reference=1, destination=Address.international("1"), user_data=UserData(b"a"))
    other = SmsSubmit(message_reference=1, destination=Address.international("1"), user_data=UserData(b"b"))
    stamps = [book.distinct_stamp("+1", "+2", each, NOW).to_epoch_s() for each in (submit, submit, other)]
    assert stamps == [NOW, NOW + 1, NOW]
    assert book.distinct_stamp("+1", "+2", submit, NOW + 10).to_epoch_s() == NOW + 10


def test_the_memory_of_texts_is_bounded() -> None:
    book = _book()
    for index in range(10_001):
        submit = SmsSubmit(
            message_reference=1, destination=Address.international("1"), user_data=UserData(str(index).encode())
        )
        book.distinct_stamp("+1", "+2", submit, NOW)
    first = SmsSubmit(message_reference=1, destination=Address.international("1"), user_data=UserData(b"0"))
    assert book.distinct_stamp("+1", "+2", first, NOW).to_epoch_s() == NOW
