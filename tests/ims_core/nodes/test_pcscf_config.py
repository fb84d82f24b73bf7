from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from ims_core.nodes.pcscf_config import PcscfConfig
from ims_core.transport.link import Address, Transport

ADDRESS = Address(Transport.TCP, "127.0.1.10", 5060)


def test_keep_alives_are_asked_for_every_two_minutes_and_sec_agree_is_up_to_the_ue() -> None:
    config = PcscfConfig(name="p", home_domain="x", listen=(ADDRESS,), icscf=ADDRESS)
    assert (config.keep_s, config.requires_agreement) == (120, False)
    with pytest.raises(FrozenInstanceError):
        config.keep_s = 1
