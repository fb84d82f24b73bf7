from __future__ import annotations

from ims_core.store.record_codec import RecordCodec
from ims_core.store.subscribers import (
    SEQUENCE_NUMBERS,
    SUBSCRIBERS,
    AuthenticationScheme,
    SequenceNumber,
    Subscriber,
)
from ims_core.wire.secret import Secret

SUBSCRIBER = Subscriber(
    impi="a@home",
    implicit_sets=(("sip:a@home", "tel:+1"), ("sip:b@home",)),
    msisdn="+1",
    imsi="001",
    scheme=AuthenticationScheme.AKA_V1_MD5,
    k=Secret(b"k" * 16),
    opc=Secret(b"o" * 16),
    amf=b"\x80\x00",
    sqn=32,
    services=("urn:x",),
)


def test_a_subscriber_survives_the_store_with_his_secrets() -> None:
    codec = RecordCodec(SUBSCRIBERS)
    assert codec.decode(codec.encode(SUBSCRIBER)) == SUBSCRIBER
    assert SUBSCRIBERS.key(SUBSCRIBER) == "a@home"


def test_a_sequence_number_survives_the_store() -> None:
    codec = RecordCodec(SEQUENCE_NUMBERS)
    number = SequenceNumber("a@home", 2**48 - 1)
    assert codec.decode(codec.encode(number)) == number
    assert SEQUENCE_NUMBERS.key(number) == "a@home"


def test_no_secret_is_shown() -> None:
    assert "kkkk" not in repr(SUBSCRIBER)
