from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError
from ruamel.yaml import YAML

from rcs_sim.devices.policy import Consent, DevicePolicy
from rcs_sim.e2ee.profile import E2eeProfile

_PROFILES = Path(__file__).resolve().parents[3] / "profiles" / "devices"
_ADAPTER = TypeAdapter(DevicePolicy)


def _load(name: str) -> DevicePolicy:
    mapping: Any = YAML(typ="safe").load((_PROFILES / f"{name}.yaml").read_text(encoding="utf-8"))
    return _ADAPTER.validate_python(mapping)


@pytest.mark.parametrize("name", ["android", "ios", "lineage-like"])
def test_the_profile_is_accepted_and_carries_its_own_name(name: str) -> None:
    assert _load(name).name == name


def test_an_unknown_word_in_a_profile_is_refused() -> None:
    with pytest.raises(ValidationError, match="sms_falback"):
        _ADAPTER.validate_python({"name": "x", "fallback": {"sms_falback": "ask"}})


def test_a_value_that_no_policy_knows_is_refused_with_the_allowed_ones() -> None:
    with pytest.raises(ValidationError, match=r"automatic.*ask.*never"):
        _ADAPTER.validate_python({"name": "x", "fallback": {"consent": "perhaps"}})


def test_a_phone_that_asks_is_data_not_a_subclass() -> None:
    assert _load("ios").fallback.consent is Consent.ASK
    assert _load("android").fallback.consent is Consent.AUTOMATIC
    assert type(_load("ios")) is type(_load("android")) is DevicePolicy


def test_the_lineage_like_profile_states_what_that_client_does() -> None:
    policy = _load("lineage-like")
    assert not policy.registration.sends_instance_id
    assert policy.registration.new_from_tag_with_credentials
    assert not policy.registration.uses_service_route
    assert not policy.registration.awaits_deregistration
    assert not policy.messaging.answers_with_to_tag
    assert set(policy.messaging.unanswered_methods) == {"OPTIONS", "NOTIFY", "UPDATE"}


def test_the_user_agent_has_the_form_of_the_specification() -> None:
    assert _load("android").user_agent == "IM-client/OMA1.0 SimV/SimPhoneA-14 RSim/RcsSim-0.1"


def test_every_field_is_documented_at_its_class() -> None:
    for group in fields(DevicePolicy):
        value = getattr(DevicePolicy(name="x", e2ee=E2eeProfile()), group.name)
        documented = type(value).__doc__ or ""
        if group.name != "name":
            missing = [f.name for f in fields(value) if f.name not in documented]
            assert not missing, f"{type(value).__name__}: {missing}"
