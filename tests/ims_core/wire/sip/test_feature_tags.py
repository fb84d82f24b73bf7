"""Feature tags and caller preferences."""

from __future__ import annotations

import pytest

from ims_core.wire.sip.feature_tags import AcceptContact, FeatureSet, RejectContact, RequestDisposition, select_contacts
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.headers import Contact
from ims_core.wire.sip.message import Request

_ICSI = "+g.3gpp.icsi-ref"
_MSG = "urn:urn-7:3gpp-service.ims.icsi.oma.cpm.msg"
_SESSION = "urn:urn-7:3gpp-service.ims.icsi.oma.cpm.session"
_PHONE = Contact.parse(
    '<sip:a@192.0.2.11>;+sip.instance="<urn:gsma:imei:00499901-000101-0>";'
    '+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session,urn%3aurn-7%3a3gpp-service.ims.icsi.oma.cpm.msg";'
    '+g.gsma.rcs.botversion="#=1,#=2";+g.gsma.rcs.msgrevoke;audio;expires=600;q=0.5;reg-id=1;methods="INVITE,MESSAGE"'
)


def _features(params: str) -> FeatureSet:
    return FeatureSet.of_contact(Contact.parse(f"<sip:a@b>{params}"))


def test_the_features_of_a_contact() -> None:
    features = FeatureSet.of_contact(_PHONE)
    assert features.tags == (
        "+sip.instance",
        _ICSI,
        "+g.gsma.rcs.botversion",
        "+g.gsma.rcs.msgrevoke",
        "audio",
        "methods",
    )
    assert features.values(_ICSI) == {_MSG, _SESSION}
    assert features.has("+G.3GPP.ICSI-REF", _MSG.upper())
    assert features.has("+g.gsma.rcs.msgrevoke")
    assert features.has("+sip.instance", "<urn:gsma:imei:00499901-000101-0>")
    assert not features.has("+sip.instance", "<URN:gsma:imei:00499901-000101-0>")
    assert not features.has("expires")
    assert not features.has("video")


def test_a_tag_that_comes_several_times_has_the_values_of_all() -> None:
    assert _features(f';{_ICSI}="urn%3Aa";{_ICSI}="urn%3Ab"').values(_ICSI) == {"urn:a", "urn:b"}


def test_features_are_written_one_parameter_per_kind() -> None:
    features = FeatureSet.of({_ICSI: [_SESSION, _MSG], "+g.oma.sip-im": [], "+g.gsma.rcs.mls.mls-version": ["v1"]})
    text = str(features.to_params())
    assert text == (
        f';{_ICSI}="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg,urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session"'
        ';+g.oma.sip-im;+g.gsma.rcs.mls.mls-version="v1"'
    )
    assert _features(text) == features


def test_the_answer_for_several_devices_is_their_union() -> None:
    union = _features(f';{_ICSI}="a";audio').union(_features(f';{_ICSI}="b";video')).without("AUDIO")
    assert union.values(_ICSI) == {"a", "b"}
    assert union.tags == (_ICSI, "video")
    assert not FeatureSet()


@pytest.mark.parametrize(
    ("preference", "is_match"),
    [
        ("*", True),
        (f'*;{_ICSI}="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg"', True),
        (f'*;{_ICSI}="URN%3aurn-7%3a3gpp-service.ims.icsi.oma.cpm.msg,urn%3Aother"', True),
        (f'*;{_ICSI}="urn%3Aother"', False),
        ("*;+g.3gpp.smsip", True),  # not named is not contradicted
        ("*;+g.3gpp.smsip;require;explicit", False),
        ("*;+g.3gpp.smsip;explicit", False),
        ('*;+g.gsma.rcs.botversion="#=2";require;explicit', True),
        ('*;+g.gsma.rcs.botversion="#=3";require;explicit', False),
        ('*;+g.gsma.rcs.botversion="#>=2"', True),
        ('*;+g.gsma.rcs.botversion="#<=0"', False),
        ('*;+g.gsma.rcs.botversion="#1.5:2.5"', True),
        ('*;methods="MESSAGE"', True),
        ('*;methods="!message"', True),  # it also serves INVITE
        ('*;audio="FALSE"', False),
        ('*;audio="!TRUE"', False),
        ("*;audio;video;explicit", False),
        ('*;+sip.instance="<urn:gsma:imei:00499901-000101-0>";require;explicit', True),
        ('*;+sip.instance="<urn:gsma:imei:00499901-000102-0>";require;explicit', False),
    ],
)
def test_accept_contact(preference: str, is_match: bool) -> None:
    assert AcceptContact.parse(preference).matches(FeatureSet.of_contact(_PHONE)) is is_match


def test_a_contact_without_features_is_immune_unless_they_must_be_named() -> None:
    bare = FeatureSet()
    assert AcceptContact.parse("*;audio").matches(bare)
    assert AcceptContact.parse("*;audio;require").matches(bare)
    assert not AcceptContact.parse("*;audio;require;explicit").matches(bare)
    assert not RejectContact.parse("*;audio").matches(bare)


def test_reject_contact_needs_every_tag_named() -> None:
    features = FeatureSet.of_contact(_PHONE)
    assert RejectContact.parse("*;audio").matches(features)
    assert not RejectContact.parse("*;audio;video").matches(features)
    assert not RejectContact.parse("*").matches(features)


def test_contacts_that_fit_come_first_and_those_required_away_go() -> None:
    rcs = Contact.parse(f'<sip:rcs>;{_ICSI}="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg"')
    sms = Contact.parse("<sip:sms>;+g.3gpp.smsip")
    better = Contact.parse("<sip:low>;q=0.1;+g.3gpp.smsip;mobility=fixed")
    wish = AcceptContact.of({_ICSI: [_MSG]})
    must = AcceptContact.of({"+g.3gpp.smsip": []}, require=True, explicit=True)
    assert select_contacts([sms, rcs, better], [wish]) == [rcs, sms, better]
    assert select_contacts([rcs, sms, better], [must]) == [sms, better]
    assert select_contacts([rcs, sms, better], [must], [RejectContact.parse('*;mobility="fixed"')]) == [sms]
    assert select_contacts([rcs, sms]) == [rcs, sms]


def test_preferences_are_written_as_they_are_built_and_read() -> None:
    must = AcceptContact.of({"+g.3gpp.smsip": []}, require=True, explicit=True)
    assert str(must) == "*;+g.3gpp.smsip;require;explicit"
    assert AcceptContact.parse(str(must)) == must
    assert (must.is_required, must.is_explicit) == (True, True)
    assert must.score(_features(";+g.3gpp.smsip")) == 1.0
    assert AcceptContact.parse("*;audio;video").score(_features(";audio")) == 0.5


@pytest.mark.parametrize("text", ["", "a;audio", ";audio", "*audio", "*;"])
def test_what_is_no_preference_is_refused(text: str) -> None:
    with pytest.raises(SipParseError):
        AcceptContact.parse(text)


def test_several_preferences_come_in_one_field_or_more() -> None:
    request = Request.new(
        "INVITE", "sip:b", [("a", '*;audio="a,b", *;video'), ("Accept-Contact", "*;text"), ("d", "no-fork, queue")]
    )
    assert [preference.terms[0][0] for preference in request.get_all(AcceptContact)] == ["audio", "video", "text"]
    assert "NO-FORK" in request.require(RequestDisposition)


def test_long_lists_cost_no_square_of_their_length() -> None:
    one = _features(';+x="' + ",".join(f"#={number}" for number in range(50_000)) + '"')
    preference = AcceptContact.parse('*;+x="' + ",".join(f"#={number}" for number in range(50_000, 100_000)) + '"')
    assert not preference.matches(one)
