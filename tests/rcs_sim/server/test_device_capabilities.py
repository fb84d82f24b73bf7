from __future__ import annotations

import pytest

from ims_core.wire.sip.feature_tags import FeatureSet
from rcs_sim.server.device_capabilities import (
    features_of_text,
    is_rcs,
    takes_large_messages,
    takes_messages,
    takes_sessions,
    text_of,
)
from tests.rcs_sim.server.messaging_lab import RCS_TAGS


@pytest.mark.parametrize(
    ("tags", "rcs"),
    [
        (RCS_TAGS, True),
        (';+g.3gpp.icsi-ref="urn:urn-7:3gpp-service.ims.icsi.oma.cpm.session"', True),
        (';+G.3GPP.ICSI-REF="urn%3aurn-7%3a3gpp-service.ims.icsi.oma.cpm.msg"', True),
        (";+g.gsma.rcs.cpm.pager-large", True),
        (";+g.oma.sip-im", True),
        (';+g.3gpp.iari-ref="urn%3Aurn-7%3A3gpp-application.ims.iari.rcse.im"', True),
        (";+g.3gpp.smsip", False),
        ("", False),
    ],
)
def test_what_the_tags_mean(tags: str, rcs: bool) -> None:
    assert is_rcs(features_of_text(tags)) is rcs


def test_text_and_features_are_inverse_and_shared() -> None:
    features = features_of_text(RCS_TAGS)
    assert features_of_text(text_of(features)) == features
    assert features_of_text(RCS_TAGS) is features
    assert not features_of_text(';+sip.instance="<urn:x>"')
    assert not features_of_text("rubbish <")


def test_what_a_device_takes_is_told_by_its_tags() -> None:
    def of(*services: str, extra: str = "") -> FeatureSet:
        names = ",".join(f"urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.{service}" for service in services)
        return features_of_text((f';+g.3gpp.icsi-ref="{names}"' if services else "") + extra)

    both, session, pager = of("session", "msg"), of("session"), of("msg")
    simple_im = of(extra=";+g.oma.sip-im")
    large = of("msg", extra=";+g.gsma.rcs.cpm.pager-large")
    assert [takes_sessions(features) for features in (both, session, pager, simple_im)] == [True, True, False, True]
    assert [takes_messages(features) for features in (both, session, pager, simple_im)] == [True, False, True, True]
    assert [takes_large_messages(features) for features in (both, large, of("largemsg"))] == [False, True, True]
