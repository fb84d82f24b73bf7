from __future__ import annotations

import pytest

from ims_core.wire.sip.address_headers import Contact
from ims_core.wire.sip.feature_tags import FeatureSet
from rcs_sim.client.capabilities import (
    CapabilityCache,
    CapabilityTimes,
    ContactState,
    Knowledge,
    Occasion,
    OptionsEffect,
    PeerTags,
    options_effect,
)
from rcs_sim.client.fallback import CacheEffect, LatchEvent, RcsOutcome
from rcs_sim.client.identity import ContactKey

_BOB = ContactKey("+12025550152")
_TIMES = CapabilityTimes(
    rcs_expiry_s=86400, non_rcs_expiry_s=2592000, message_validity_s=30, guard_s=1, error_hold_s=1200
)
_ICSI = "urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm."


def _tags(params: str) -> PeerTags:
    return PeerTags.of(FeatureSet.of_contact(Contact.parse(f"<sip:bob@192.0.2.1>{params}")))


_CHAT = _tags(f';+g.3gpp.icsi-ref="{_ICSI}msg";+g.gsma.rcs.msgrevoke')


@pytest.fixture
def cache() -> CapabilityCache:
    return CapabilityCache(_TIMES)


@pytest.mark.parametrize(
    "params",
    [
        f';+g.3gpp.icsi-ref="{_ICSI}session"',
        ';+g.3gpp.icsi-ref="urn:urn-7:3gpp-service.ims.icsi.oma.cpm.msg"',
        ';+g.3gpp.icsi-ref="urn%3aurn-7%3a3gpp-service.ims.icsi.oma.cpm.msg"',
        ";+g.oma.sip-im",
        ';+g.3gpp.iari-ref="urn%3Aurn-7%3A3gpp-application.ims.iari.rcse.im"',
        f';+g.3gpp.icsi-ref="x";+g.3gpp.icsi-ref="{_ICSI}msg"',
    ],
)
def test_encoded_and_plain_tags_are_both_understood_d06(params: str) -> None:
    assert _tags(params).has_chat


@pytest.mark.parametrize("params", ["", ";+g.3gpp.smsip", f';+g.3gpp.icsi-ref="{_ICSI}largemsg"', ";q=0.5"])
def test_other_tags_are_no_chat(params: str) -> None:
    assert not _tags(params).has_chat


def test_a_chat_tag_means_rcs_and_online(cache: CapabilityCache) -> None:
    assert cache.answered(_BOB, 200, 0, tags=_CHAT) is LatchEvent.ANSWERED_RCS_ONLINE
    entry = cache.entry(_BOB)
    assert (entry.knowledge, entry.state) == (Knowledge.RCS, ContactState.ONLINE)
    assert entry.tags.takes_revocations
    assert not entry.tags.interworks


def test_automata_means_rcs_but_offline(cache: CapabilityCache) -> None:
    tags = _tags(f';+g.3gpp.icsi-ref="{_ICSI}msg";automata')
    assert cache.answered(_BOB, 200, 0, tags=tags) is LatchEvent.ANSWERED_RCS_OFFLINE
    assert cache.entry(_BOB).state is ContactState.OFFLINE


def test_an_answer_without_a_messaging_tag_marks_not_rcs_d05(cache: CapabilityCache) -> None:
    assert cache.answered(_BOB, 200, 0, tags=_tags(";+g.3gpp.smsip")) is LatchEvent.ANSWERED_NOT_RCS
    assert cache.entry(_BOB).knowledge is Knowledge.NOT_RCS


@pytest.mark.parametrize("status", [404, 604, 405, 501])
def test_404_and_its_like_mark_not_rcs_d04(cache: CapabilityCache, status: int) -> None:
    assert cache.answered(_BOB, status, 0) is LatchEvent.ANSWERED_NOT_RCS
    assert cache.entry(_BOB).knowledge is Knowledge.NOT_RCS


@pytest.mark.parametrize("status", [480, 408])
def test_480_and_408_keep_earlier_knowledge_d04(cache: CapabilityCache, status: int) -> None:
    assert cache.answered(_BOB, status, 0) is None
    assert cache.entry(_BOB).knowledge is Knowledge.UNKNOWN
    cache.answered(_BOB, 200, 10, tags=_CHAT)
    cache.answered(_BOB, status, 20)
    assert cache.entry(_BOB).knowledge is Knowledge.RCS
    assert cache.entry(_BOB).state is ContactState.OFFLINE


@pytest.mark.parametrize("outcome", [403, 503, 500, 400, RcsOutcome.TIMED_OUT])
def test_other_answers_change_nothing_and_hold_queries_for_20_minutes(
    cache: CapabilityCache, outcome: int | RcsOutcome
) -> None:
    cache.entry(_BOB).asked(0)
    assert cache.answered(_BOB, outcome, 0) is None
    assert cache.entry(_BOB).knowledge is Knowledge.UNKNOWN
    assert not cache.should_ask(_BOB, Occasion.OPEN, 1199)
    assert cache.should_ask(_BOB, Occasion.OPEN, 1200)


def test_503_holds_for_its_retry_after(cache: CapabilityCache) -> None:
    cache.answered(_BOB, 503, 0, retry_after_s=60)
    assert not cache.should_ask(_BOB, Occasion.OPEN, 59)
    assert cache.should_ask(_BOB, Occasion.OPEN, 60)


def test_queries_to_one_contact_are_rate_limited_d07(cache: CapabilityCache) -> None:
    assert cache.should_ask(_BOB, Occasion.OPEN, 0)
    cache.entry(_BOB).asked(0)
    assert not cache.should_ask(_BOB, Occasion.FAILURE, 0.1)
    cache.answered(_BOB, 480, 0.2)
    assert not cache.should_ask(_BOB, Occasion.FAILURE, 0.9)
    assert cache.should_ask(_BOB, Occasion.FAILURE, 1.0)


def test_a_fresh_entry_is_not_asked_for_again_before_msg_cap_validity(cache: CapabilityCache) -> None:
    cache.answered(_BOB, 200, 0, tags=_CHAT)
    assert not cache.should_ask(_BOB, Occasion.SEND, 29)
    assert cache.should_ask(_BOB, Occasion.SEND, 30)


def test_not_rcs_is_good_until_its_own_expiry(cache: CapabilityCache) -> None:
    cache.answered(_BOB, 404, 0)
    assert not cache.should_ask(_BOB, Occasion.OPEN, 2591999)
    assert cache.should_ask(_BOB, Occasion.OPEN, 2592000)


def test_knowledge_expires_and_says_so(cache: CapabilityCache) -> None:
    cache.answered(_BOB, 200, 0, tags=_CHAT)
    assert cache.expire(_BOB, 86399) is None
    assert cache.expire(_BOB, 86400) is LatchEvent.KNOWLEDGE_EXPIRED
    assert cache.entry(_BOB).knowledge is Knowledge.UNKNOWN


def test_the_query_of_the_peer_teaches_too(cache: CapabilityCache) -> None:
    assert cache.asked_by(_BOB, _CHAT, 0) is LatchEvent.ANSWERED_RCS_ONLINE
    assert cache.asked_by(_BOB, PeerTags(), 1) is None
    assert cache.entry(_BOB).knowledge is Knowledge.RCS


def test_an_rcs_message_proves_rcs(cache: CapabilityCache) -> None:
    assert cache.message_received(_BOB, 0) is LatchEvent.RCS_RECEIVED
    assert cache.entry(_BOB).knowledge is Knowledge.RCS


def test_the_outcome_of_a_message_teaches(cache: CapabilityCache) -> None:
    assert cache.learn(_BOB, CacheEffect.RCS_OFFLINE, 0) is None
    assert cache.entry(_BOB).state is ContactState.OFFLINE
    assert cache.learn(_BOB, CacheEffect.NOT_RCS, 0) is LatchEvent.ANSWERED_NOT_RCS


def test_every_status_has_an_effect() -> None:
    for status in range(200, 700):
        assert isinstance(options_effect(status), OptionsEffect)


def test_the_number_of_contacts_is_bounded(cache: CapabilityCache) -> None:
    for number in range(6000):
        cache.entry(ContactKey(f"+{number}"))
    assert len(cache._entries) == 5000
