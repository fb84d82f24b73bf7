from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ims_core.wire.sms.address import Address
from ims_core.wire.sms.concatenation import split_text
from ims_core.wire.sms.data_coding import DataCoding
from ims_core.wire.sms.rpdu import Direction, RpAck, RpData, RpError, RpSmma, parse_rpdu
from ims_core.wire.sms.timestamp import Timestamp
from ims_core.wire.sms.tpdu import SmsDeliver
from ims_core.wire.sms.user_data import ApplicationPorts, UserData, UserDataHeader
from rcs_sim.client.sms_incoming import DataReceived, IncomingMessages, ReportReceived, TextReceived

_ALICE = Address.international("+12025550101")
_AT = 1772446530.0
_SMSC = Address.international("+12025550199")


def _deliver(user_data: UserData, coding: DataCoding = DataCoding.GSM7, *, pid: int = 0, at: float = _AT) -> SmsDeliver:
    return SmsDeliver(
        originator=_ALICE, timestamp=Timestamp.at(at), user_data=user_data, data_coding=coding, protocol_id=pid
    )


def _rp(tpdu: SmsDeliver, reference: int = 0x31) -> bytes:
    return RpData(Direction.TO_MS, reference, _SMSC, tpdu.encode()).encode()


def _text(text: str, at: float = _AT) -> bytes:
    return _rp(_deliver(UserData.of_text(text, DataCoding.GSM7), at=at))


def test_a_text_is_acknowledged_with_a_deliver_report_and_received() -> None:
    came = IncomingMessages().receive(_text("Hello"), 0)
    assert came.answer == bytes.fromhex("02 31 41 02 00 00")
    assert came.received == (TextReceived("+12025550101", "Hello", _AT),)


def test_parts_are_joined_in_any_order_l09() -> None:
    incoming = IncomingMessages()
    split = split_text("ж" * 100, reference=7)
    parts = [_rp(_deliver(part, split.coding)) for part in split.parts]
    assert incoming.receive(parts[1], 0).received == ()
    came = incoming.receive(parts[0], 1)
    assert came.received == (TextReceived("+12025550101", "ж" * 100, _AT),)


def test_a_repeated_delivery_is_acknowledged_and_not_shown() -> None:
    incoming = IncomingMessages()
    incoming.receive(_text("Hello"), 0)
    again = incoming.receive(_text("Hello"), 30)
    assert again.answer is not None
    assert again.received == ()


def test_a_text_of_which_the_rest_never_comes_is_shown_as_far_as_it_goes() -> None:
    incoming = IncomingMessages()
    split = split_text("x" * 200, reference=7)
    incoming.receive(_rp(_deliver(split.parts[0])), 0)
    deadline = incoming.next_deadline()
    assert deadline == 86400
    octets, texts = incoming.handle_deadline(0, deadline)
    assert octets is None
    assert [each.text for each in texts] == ["x" * 153]


def test_a_message_to_a_port_is_data() -> None:
    header = UserDataHeader.of(ApplicationPorts(37273, 0).element())
    tpdu = _deliver(UserData(b"001010000000101-rcscfg", header), DataCoding.EIGHT_BIT)
    came = IncomingMessages().receive(_rp(tpdu), 0)
    assert came.received == (DataReceived("+12025550101", 37273, b"001010000000101-rcscfg", "001010000000101-rcscfg"),)


def test_a_silent_message_is_acknowledged_and_thrown_away() -> None:
    came = IncomingMessages().receive(_rp(_deliver(UserData.of_text("x", DataCoding.GSM7), pid=0x40)), 0)
    assert came.answer is not None
    assert came.received == ()


def test_a_full_memory_refuses_with_cause_22_and_tells_when_there_is_room_again() -> None:
    incoming = IncomingMessages(storage_messages=1)
    incoming.receive(_text("one"), 0)
    came = incoming.receive(_text("two", at=_AT + 1), 0)
    assert came.received == ()
    error = parse_rpdu(came.answer or b"")
    assert isinstance(error, RpError)
    assert error.cause == 22
    smma = incoming.deleted(1, 0x55, 10)
    assert parse_rpdu(smma or b"") == RpSmma(0x55)
    assert incoming.next_deadline() == 40
    octets, _ = incoming.handle_deadline(0x56, 40)
    assert parse_rpdu(octets or b"") == RpSmma(0x56)
    incoming.receive(RpAck(Direction.TO_MS, 0x56).encode(), 41)
    assert incoming.next_deadline() is None
    assert incoming.deleted(1, 0x57, 50) is None


def test_a_status_report_is_acknowledged_and_handed_on() -> None:
    octets = bytes.fromhex(
        "01320791 2120550591F9 00 19 062A0B91 2120550501F2 62302001814000 62302001819000 00".replace(" ", "")
    )
    came = IncomingMessages().receive(octets, 0)
    assert came.answer == bytes.fromhex("023241020000")
    assert isinstance(came.received[0], ReportReceived)
    assert came.received[0].report.message_reference == 0x2A


def test_what_cannot_be_read_is_answered_with_rp_error() -> None:
    incoming = IncomingMessages()
    assert isinstance(parse_rpdu(incoming.receive(b"\x01\x07", 0).answer or b""), RpError)
    bad_tpdu = RpData(Direction.TO_MS, 9, _SMSC, b"\x00\x0b").encode()
    error = parse_rpdu(incoming.receive(bad_tpdu, 0).answer or b"")
    assert isinstance(error, RpError)
    assert (error.reference, error.cause) == (9, 96)
    assert incoming.receive(b"", 0).answer is None


@given(st.binary(max_size=300))
def test_no_octets_make_it_raise(octets: bytes) -> None:
    IncomingMessages().receive(octets, 0)
