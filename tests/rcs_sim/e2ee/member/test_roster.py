"""Certified numbers against participants (RCC.16 §6.1, A.4.1)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rcs_sim.e2ee.member.roster import NamesOnly, certified_number, roster_of
from rcs_sim.mls.credential import BasicCredential
from rcs_sim.mls.errors import MlsValidationError
from tests.support.member_devices import ALICE, BOB, established, make_member, trust_of

CAROL = "12025550103"


def test_a_second_device_is_neither_a_ghost_nor_missing() -> None:
    talk = established(make_member(ALICE), make_member(BOB), make_member(BOB, client=2))
    group = talk.devices[0].conversation.group
    assert group is not None
    roster = roster_of(group.group.tree)
    assert (roster.numbers, len(roster.leaves), len(roster.leaves_of(BOB))) == (frozenset({ALICE, BOB}), 3, 2)
    assert roster.ghosts([ALICE, BOB]) == roster.missing([ALICE, BOB]) == frozenset()
    assert roster.ghosts([ALICE]) == {BOB}
    assert roster.missing([ALICE, BOB, CAROL]) == {CAROL}


def test_a_leaf_without_a_certificate_certifies_nobody() -> None:
    leaf = make_member(ALICE).claim().leaf_node
    assert certified_number(leaf) == ALICE
    with pytest.raises(MlsValidationError) as caught:
        certified_number(replace(leaf, credential=BasicCredential(b"alice")))
    assert caught.value.rule == "RCC-NUMBER"


def test_names_only_compares_and_judges_nothing() -> None:
    alice, bob = make_member(ALICE), make_member(BOB)
    names = NamesOnly(trust_of(alice.setting.profile))
    credential = alice.identity.credential
    names.verify_credential(credential, b"", None)
    assert names.is_successor(credential, credential)
    assert not names.is_successor(credential, bob.identity.credential)
    assert names.identity_of(credential) != names.identity_of(bob.identity.credential)
