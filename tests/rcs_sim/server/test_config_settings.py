"""Settings of the autoconfiguration server."""

from __future__ import annotations

from rcs_sim.server.config_settings import ConfigFault, ConfigServerSettings
from tests.support.acs import ALICE


def test_the_defaults_are_those_of_the_digest() -> None:
    settings = ConfigServerSettings()
    assert (settings.validity_s, settings.token_validity_s) == (604_800, 2_592_000)
    assert (settings.otp_s, settings.otp_tries) == (300, 3)


def test_no_fault_is_the_default() -> None:
    assert ConfigFault() == ConfigFault(is_disabled=False, requires_otp=False, is_stale=False, retry_after_s=None)


def test_a_record_does_not_show_the_password() -> None:
    assert "lab-secret-A" not in repr(ALICE)
