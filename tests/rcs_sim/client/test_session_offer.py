from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from ims_core.wire.msrp.media import NO_PORT, Direction, MediaRefused, MsrpMedia, Setup
from ims_core.wire.msrp.uri import MsrpUri, parse_msrp_uri
from rcs_sim.client.session_offer import (
    OfferRules,
    SessionOffer,
    make_answer,
    make_offer,
    read_answer,
    read_offer,
    reanswer,
)
from rcs_sim.devices.policy import MediaSecurity, SessionPolicy
from rcs_sim.wire.rcs_configuration import RcsConfiguration
from tests.support.stub_core import device


@dataclass
class _Side:
    """A side of a session that is only described."""

    host: str = "192.0.2.11"
    port: int = 51001
    name: str = "a1"

    @property
    def path(self) -> MsrpUri:
        return parse_msrp_uri(f"msrp://{self.host}:{self.port}/{self.name};tcp")

    def media(self, *, is_tls: bool, setup: Setup, like: MsrpMedia | None = None) -> MsrpMedia:
        return MsrpMedia(
            host=self.host,
            port=NO_PORT if setup is Setup.ACTIVE else self.port,
            is_tls=is_tls,
            path=(self.path,),
            setup=setup,
            has_cema=True,
        )

    def expect(self, local: MsrpMedia) -> None: ...

    def open(self, local: MsrpMedia, remote: MsrpMedia, *, is_offerer: bool) -> None: ...

    def close(self) -> None: ...


def _rules(policy: SessionPolicy | None = None, **document: object) -> OfferRules:
    return OfferRules.of(policy or SessionPolicy(), RcsConfiguration(**document))


def _offer(policy: SessionPolicy | None = None, **how: bool) -> SessionOffer:
    return make_offer(_Side(), _rules(policy), 7, **how)


def _answer(offer: SessionOffer, policy: SessionPolicy | None = None) -> SessionOffer:
    return make_answer(_Side("192.0.2.12", 51002, "b1"), _rules(policy), read_offer(offer.octets), 8)


def test_a_phone_that_can_be_reached_offers_actpass_with_its_port_s02() -> None:
    text = _offer().octets.decode()
    assert "m=message 51001 TCP/MSRP *\r\n" in text
    assert "a=setup:actpass\r\n" in text
    assert "a=msrp-cema\r\n" in text
    assert "a=accept-types:message/cpim application/im-iscomposing+xml\r\n" in text
    assert "a=sendrecv\r\n" in text


def test_a_phone_that_never_listens_offers_active_with_port_9_s02() -> None:
    text = _offer(device("lineage-like").session).octets.decode()
    assert "m=message 9 TCP/MSRP *\r\n" in text
    assert "a=setup:active\r\n" in text


@pytest.mark.parametrize(
    ("security", "media", "is_tls"),
    [
        (MediaSecurity.DOCUMENT, "MSRPoTLS", True),
        (MediaSecurity.DOCUMENT, "MSRP", False),
        (MediaSecurity.DOCUMENT, "", False),
        (MediaSecurity.PLAIN, "MSRPoTLS", False),
        (MediaSecurity.TLS, "MSRP", True),
    ],
)
def test_tls_is_offered_where_document_or_device_say_so_s01(security: MediaSecurity, media: str, is_tls: bool) -> None:
    assert _rules(SessionPolicy(security=security), ps_media=media).is_tls is is_tls


def test_the_answer_is_active_to_an_offer_that_leaves_the_choice_and_passive_to_an_active_one_s02() -> None:
    assert _answer(_offer()).local.setup is Setup.ACTIVE
    assert _answer(_offer(), SessionPolicy(answers_active=False)).local.setup is Setup.PASSIVE
    assert _answer(_offer(SessionPolicy(listens=False))).local.setup is Setup.PASSIVE


def test_two_phones_that_never_listen_cannot_meet() -> None:
    deaf = SessionPolicy(listens=False)
    with pytest.raises(MediaRefused) as refused:
        _answer(_offer(deaf), deaf)
    assert refused.value.status == 488


def test_cema_is_answered_only_where_it_was_offered_s05() -> None:
    assert "msrp-cema" in _answer(_offer()).octets.decode()
    assert "msrp-cema" not in _answer(_offer(SessionPolicy(has_cema=False))).octets.decode()


def test_a_large_message_is_offered_sendonly_and_answered_recvonly_with_a_size() -> None:
    offer = _offer(is_large=True)
    assert offer.local.direction is Direction.SENDONLY
    answer = _answer(offer)
    assert answer.local.direction is Direction.RECVONLY
    assert answer.local.max_size == 1_048_576
    assert answer.local.accept_types == ("message/cpim",)


def test_the_offer_after_a_refusal_has_fewer_types() -> None:
    policy, fewer = SessionPolicy(), _offer(has_fewer_types=True).local
    assert set(fewer.accept_types) < set(policy.accept_types)
    assert set(fewer.accept_wrapped_types) < set(policy.accept_wrapped_types)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"nonsense",
        b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 4 RTP/AVP 0\r\n",
        _offer().octets.replace(b"message/cpim ", b"text/plain "),
        _offer().octets.replace(b"m=message 51001", b"m=message 0"),
        _offer().octets.replace(b"a=sendrecv", b"a=inactive"),
    ],
)
def test_an_offer_without_a_usable_message_session_is_refused_with_488(octets: bytes) -> None:
    with pytest.raises(MediaRefused) as refused:
        read_offer(octets)
    assert refused.value.status == 488


def test_an_answer_is_read_against_its_offer() -> None:
    offer = _offer()
    assert read_answer(offer, _answer(offer).octets).port == NO_PORT
    for wrong in (b"", b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n"):
        with pytest.raises(MediaRefused):
            read_answer(offer, wrong)


def test_a_refresh_is_answered_with_what_stands_and_a_move_is_refused() -> None:
    offer = _offer()
    answered = _answer(offer)
    again = reanswer(answered, read_offer(offer.octets), is_active=True)
    assert again.local == answered.local
    assert again.description.origin.version == answered.description.origin.version + 1
    moved = read_offer(offer.octets.replace(b"/a1;tcp", b"/a2;tcp"))
    with pytest.raises(MediaRefused):
        reanswer(answered, moved, is_active=True)


def test_the_offer_of_a_refresh_never_is_passive() -> None:
    answered = _answer(_offer(), SessionPolicy(answers_active=False))
    assert answered.as_offer().local.setup is Setup.ACTPASS
    assert _answer(_offer()).as_offer().local.setup is Setup.ACTIVE


def test_an_offer_without_cema_is_the_same_session() -> None:
    offer = _offer()
    again = offer.without_cema()
    assert again.local == replace(offer.local, has_cema=False)
    assert again.description.origin.session_id == offer.description.origin.session_id
