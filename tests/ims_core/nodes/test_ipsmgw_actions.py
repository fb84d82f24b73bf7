"""Defaults of an IP-SM-GW."""

from __future__ import annotations

from ims_core.nodes.smsc_actions import SmscConfig
from tests.ims_core.nodes.test_ipsmgw_core import config
from tests.support.smsc_bench import smsc_config


def test_the_phone_hears_of_the_smscs_answer_before_it_gives_up() -> None:
    smsc: SmscConfig = smsc_config()
    gateway = config()
    assert smsc.nni_answer_s < gateway.smsc_answer_s < 35  # TR1M is 35 s at least
    assert gateway.tr1n_s == 40
    assert gateway.sip_answer_s > 32  # timer F
    assert smsc.gateway_answer_s > gateway.sip_answer_s + gateway.tr1n_s
