"""What a device is to its groups (RCC.16 §5.1)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ims_core.errors import LocalProtocolError
from rcs_sim.e2ee.profile import google_like_profile
from tests.support.member_devices import ALICE, BOB, enrol


def test_the_certificate_is_for_the_leaf_key_and_the_number() -> None:
    identity = enrol(ALICE, 1, google_like_profile())
    assert identity.certificate.point == identity.leaf_key.public
    assert identity.certificate.msisdn == ALICE
    assert identity.credential.certificates == identity.chain
    assert identity.participant_key.public != identity.leaf_key.public


def test_another_key_or_number_is_not_taken_for_the_device_s_own() -> None:
    identity = enrol(ALICE, 1, google_like_profile())
    with pytest.raises(LocalProtocolError):
        replace(identity, msisdn=BOB)
    with pytest.raises(LocalProtocolError):
        replace(identity, leaf_key=identity.participant_key)


def test_only_the_own_leaf_key_is_found_by_its_public_half() -> None:
    identity = enrol(ALICE, 1, google_like_profile())
    assert identity.signature_key(identity.leaf_key.public) is identity.leaf_key
    with pytest.raises(LocalProtocolError):
        identity.signature_key(identity.participant_key.public)
