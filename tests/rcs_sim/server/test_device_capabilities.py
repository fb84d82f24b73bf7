from __future__ import annotations

import pytest

from rcs_sim.server.device_capabilities import features_of_text, is_rcs, text_of
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
