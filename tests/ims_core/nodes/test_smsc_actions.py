"""Defaults of a service centre."""

from __future__ import annotations

from tests.support.smsc_bench import smsc_config


def test_the_defaults_are_those_of_the_digest() -> None:
    config = smsc_config()
    assert config.retry_min == (1, 5, 30, 60, 360)
    assert (config.default_validity_h, config.cs_answer_s, config.nni_answer_s) == (24, 40, 32)


def test_the_peer_answers_before_the_phone_gives_up() -> None:
    config = smsc_config()
    assert config.nni_answer_s < 35  # TR1M is 35 s at least
    assert config.gateway_answer_s > 32 + 40  # timer F, TR1N
