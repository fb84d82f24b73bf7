from __future__ import annotations

from dataclasses import replace

from rcs_sim.server.messaging_config import ClientRule, CpimFrom
from tests.rcs_sim.server.messaging_lab import CONFIG, PHONE


def test_by_default_only_bindings_without_instance_id_read_the_asserted_identity() -> None:
    assert CONFIG.cpim_from("", "any") is CpimFrom.ASSERTED
    assert CONFIG.cpim_from(PHONE, "any") is CpimFrom.KEEP


def test_the_first_rule_that_applies_decides() -> None:
    rules = (
        ClientRule(cpim_from=CpimFrom.KEEP, user_agent="Strict", has_instance=False),
        ClientRule(cpim_from=CpimFrom.ASSERTED),
    )
    config = replace(CONFIG, client_rules=rules)
    assert config.cpim_from("", "a strict/1.0 client") is CpimFrom.KEEP
    assert config.cpim_from(PHONE, "strict") is CpimFrom.ASSERTED
