"""What a deployment is, as data (§1.1, §14.14)."""

from __future__ import annotations

from rcs_sim.server.mls_rules import MlsFocusRules


def test_the_plain_peer_to_peer_form_is_one_without_an_arbiter() -> None:
    assert MlsFocusRules(arbitrates_era=False).is_peer_to_peer
    assert not MlsFocusRules().is_peer_to_peer


def test_a_deployment_without_further_word_is_that_of_the_deployed_server() -> None:
    rules = MlsFocusRules()
    booleans = (
        rules.arbitrates_era,
        rules.requires_convergence_ack,
        rules.accepts_member_external_commit,
        rules.has_server_group_info,
    )
    assert booleans == (True, True, False, True)
