"""Data coding scheme groups (TS 23.038 §4)."""

from __future__ import annotations

import pytest

from ims_core.wire.sms.alphabet import Alphabet
from ims_core.wire.sms.data_coding import DataCoding, MessageClass, MessageWaiting, WaitingKind

_ROWS: list[tuple[int, Alphabet, MessageClass | None, bool]] = [
    (0x00, Alphabet.GSM7, None, False),
    (0x03, Alphabet.GSM7, None, False),  # class bits without meaning
    (0x04, Alphabet.EIGHT_BIT, None, False),
    (0x08, Alphabet.UCS2, None, False),
    (0x0C, Alphabet.GSM7, None, False),  # reserved alphabet
    (0x10, Alphabet.GSM7, MessageClass.FLASH, False),
    (0x19, Alphabet.UCS2, MessageClass.ME_SPECIFIC, False),
    (0x20, Alphabet.GSM7, None, True),
    (0x3A, Alphabet.UCS2, MessageClass.SIM_SPECIFIC, True),
    (0x48, Alphabet.UCS2, None, False),
    (0x80, Alphabet.GSM7, None, False),  # reserved group
    (0xB8, Alphabet.GSM7, None, False),
    (0xF0, Alphabet.GSM7, MessageClass.FLASH, False),
    (0xF7, Alphabet.EIGHT_BIT, MessageClass.TE_SPECIFIC, False),
]


@pytest.mark.parametrize(("octet", "alphabet", "message_class", "is_compressed"), _ROWS)
def test_the_octet_tells_alphabet_class_and_compression(
    octet: int, alphabet: Alphabet, message_class: MessageClass | None, is_compressed: bool
) -> None:
    coding = DataCoding(octet)
    assert (coding.alphabet, coding.message_class, coding.is_compressed) == (alphabet, message_class, is_compressed)
    assert coding.counts_septets == (alphabet is Alphabet.GSM7 and not is_compressed)
    assert coding.waiting is None


@pytest.mark.parametrize(
    ("octet", "alphabet", "waiting"),
    [
        (0xC8, Alphabet.GSM7, MessageWaiting(WaitingKind.VOICEMAIL, is_active=True, discard=True)),
        (0xD1, Alphabet.GSM7, MessageWaiting(WaitingKind.FAX, is_active=False, discard=False)),
        (0xEA, Alphabet.UCS2, MessageWaiting(WaitingKind.EMAIL, is_active=True, discard=False)),
    ],
)
def test_message_waiting_groups(octet: int, alphabet: Alphabet, waiting: MessageWaiting) -> None:
    assert DataCoding(octet).waiting == waiting
    assert DataCoding(octet).alphabet is alphabet


def test_automatic_deletion_group() -> None:
    assert DataCoding(0x40).is_deleted_when_read
    assert not DataCoding(0x00).is_deleted_when_read


@pytest.mark.parametrize("alphabet", list(Alphabet))
@pytest.mark.parametrize("message_class", [None, *MessageClass])
def test_of_writes_what_the_properties_read(alphabet: Alphabet, message_class: MessageClass | None) -> None:
    coding = DataCoding.of(alphabet, message_class)
    assert (coding.alphabet, coding.message_class) == (alphabet, message_class)


def test_every_octet_has_an_alphabet() -> None:
    assert {DataCoding(octet).alphabet for octet in range(256)} == set(Alphabet)
