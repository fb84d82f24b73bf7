"""The scenario file as a whole."""

from __future__ import annotations

import json

import jsonschema
import pytest
from ruamel.yaml import YAML

from rcs_sim.scenario.documents import schema_text
from rcs_sim.scenario.loader import profile_folder, profile_names
from rcs_sim.scenario.story.scenario_file import ScenarioFile

_DESIGN = """
name: Reinstall must not lose the lock
spec: [RCC.16 §8, RCC.16 §10]
network: two-carriers
clock: virtual
phones:
  alice: {device: ios, carrier: blue}
  bob:   {device: android, carrier: red}
policy: {network_fallback: up-3.0, client_fallback: ask}
steps:
  - alice: {send: {to: bob, text: "one", as: m1}}
  - expect: {m1: {delivered_within_s: 5, scheme: mls, readers: [alice, bob]}}
  - bob: wipe
  - bob: power_cycle
  - fault: {mls.stale_epoch: {of: bob, for_s: 20}}
  - alice: {send: {to: bob, text: "two", as: m2}}
  - expect:
      m2: {delivered_within_s: 60, never: [plaintext, duplicate, silent_loss]}
      label: {alice: {bob: "RCS · encrypted"}}
"""


def _plain(text: str) -> object:
    return YAML(typ="safe", pure=True).load(text)


def test_the_file_of_the_design_is_one() -> None:
    file = ScenarioFile.model_validate(_plain(_DESIGN))
    assert [step.title for step in file.steps[:4]] == ["alice: send", "expect", "bob: wipe", "bob: power_cycle"]
    assert file.policy.client_fallback == "ask"


def test_the_exported_schema_takes_the_short_forms() -> None:
    schema = json.loads(schema_text("scenario"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(_plain(_DESIGN), schema)


@pytest.mark.parametrize("name", profile_names("scenarios"))
def test_what_ships_keeps_to_the_exported_schema(name: str) -> None:
    text = (profile_folder() / "scenarios" / f"{name}.yaml").read_text(encoding="utf-8")
    jsonschema.validate(_plain(text), json.loads(schema_text("scenario")))
