"""`rcs-sim faults`: every word of the design, each with an example that the scenario loader and the simulation take."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

import rcs_sim
from rcs_sim.cli import app
from rcs_sim.scenario.documents import SCHEMAS
from rcs_sim.scenario.faults.fault_kind import FaultError
from rcs_sim.scenario.faults.fault_list import list_faults
from rcs_sim.scenario.faults.fault_scope import checked_scope
from rcs_sim.scenario.faults.registry import FAULTS
from rcs_sim.scenario.simulation import Simulation

_WORDS = {  # design §8, two about revoked certificates (RCC.16 §5.3), and four of the digest, RCC.16 §14.14
    "net": "latency jitter loss reorder duplicate bandwidth partition handover",
    "sip": "status drop retransmit half_open",
    "ims": "deregister reregister pcscf_failover auth_fail",
    "acs": "disabled unreachable otp_required stale",
    "caps": "strip_mls unknown lie",
    "msrp": "lose_report lose_200 cut_mid_chunk relay_down",
    "cpim": "bad_header",
    "as": "duplicate reorder store_full",
    "kds": "down slow peer_down empty_pool last_resort wrong_identity equivocate revoked forged_revocations "
    "reused_package wrong_directory stale_anchors",
    "cert": "expire age wrong_root",
    "mls": "commit_race drop_commit drop_welcome late_welcome stale_epoch era_gap fork bad_signature bad_aad replay "
    "end_mls ghost_member drop_headers",
    "device": "wipe crash old_version add sim_swap number_recycled clock_skew off",
    "sms": "delay lose duplicate lose_report",
    "adversary": "strip_caps inject_plain_imdn replay evil_member bridge_peek",
}


def test_there_is_every_word_and_no_other() -> None:
    assert set(FAULTS) == {f"{group}.{name}" for group, names in _WORDS.items() for name in names.split()}


def _example(word: str) -> dict[str, Any]:
    step = YAML(typ="safe").load(FAULTS[word].yaml)[0]["fault"]
    scope: dict[str, Any] = {} if isinstance(step, str) else step[word]
    return scope


def test_every_example_is_yaml_and_python_and_a_scope_that_is_taken() -> None:
    async def main() -> None:
        async with Simulation("two-carriers") as sim:
            for name, carrier in (("alice", "red"), ("bob", "blue"), ("mallory", "blue")):
                await sim.add_phone(name, carrier=carrier, is_on=False)
            for word, kind in FAULTS.items():
                assert checked_scope(kind, _example(word), sim).said == _example(word)
                compile(f"async def f(sim):\n  {kind.python}", word, "exec")

    rcs_sim.run(main)


@pytest.mark.parametrize("word", sorted(FAULTS))
def test_every_word_says_what_it_does_by_which_clause_and_how_it_ends(word: str) -> None:
    kind = FAULTS[word]
    assert min(map(len, (kind.meaning, kind.clause, kind.reversal))) > 10
    assert all(key.meaning for key in kind.all_keys)
    assert len({key.name for key in kind.all_keys}) == len(kind.all_keys)


def test_the_json_is_of_its_schema() -> None:
    found = CliRunner().invoke(app, ["faults", "--json"])
    assert found.exit_code == 0
    document = json.loads(found.stdout)
    jsonschema.validate(document, SCHEMAS["faults"].json_schema())
    assert len(document["faults"]) == len(FAULTS)


def test_a_table_of_all_and_a_page_of_one() -> None:
    table = CliRunner().invoke(app, ["faults"])
    assert table.exit_code == 0
    assert all(word in table.stdout for word in FAULTS)
    page = CliRunner().invoke(app, ["faults", "sip.drop"])
    assert page.exit_code == 0
    assert "RFC 3261" in page.stdout
    assert "probability" in page.stdout


def test_scenarios_that_use_a_word_are_named() -> None:
    used = {fault.word: fault.scenarios for fault in list_faults(None).faults}
    assert any(used.values())


def test_a_word_that_is_none_lists_near_ones() -> None:
    with pytest.raises(FaultError, match=r"did you mean mls\.stale_epoch"):
        list_faults("mls.stale_epok")
