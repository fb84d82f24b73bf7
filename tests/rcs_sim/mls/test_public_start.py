"""Coming to know a group from its GroupInfo."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.extensions import Extension
from rcs_sim.mls.identifiers import CipherSuiteId, ExtensionType, ProtocolVersion
from rcs_sim.mls.public_start import find_ratchet_tree, start_public, verify_known_suite
from rcs_sim.mls.seams import Seams
from tests.support.mls_groups import established


def test_the_tree_inside_is_taken_first() -> None:
    alice, _ = established("alice", "bob")
    info = alice.group.group_info(with_tree=True)
    other = established("carol")[0].group.ratchet_tree()
    assert find_ratchet_tree(info, other) == alice.group.ratchet_tree()
    state = start_public(info, other, Seams(), None)
    assert state.context == alice.group.context
    assert state.interim_transcript_hash == alice.group.public.interim_transcript_hash


def test_val828_without_a_tree_nothing_is_known() -> None:
    (alice,) = established("alice")
    with pytest.raises(MlsValidationError) as refused:
        start_public(alice.group.group_info(), None, Seams(), None)
    assert refused.value.rule == "VAL-828"


def test_val703_the_tree_of_another_group_is_refused() -> None:
    (alice,) = established("alice")
    other = established("carol")[0].group.ratchet_tree()
    with pytest.raises(MlsValidationError) as refused:
        start_public(alice.group.group_info(), other, Seams(), None)
    assert refused.value.rule == "VAL-703"


def test_val827_a_suite_or_version_that_we_do_not_have_is_refused() -> None:
    (alice,) = established("alice")
    context = alice.group.context
    for unknown in (replace(context, cipher_suite=CipherSuiteId(99)), replace(context, version=ProtocolVersion(2))):
        with pytest.raises(MlsValidationError) as refused:
            verify_known_suite(unknown)
        assert refused.value.rule == "VAL-827"


def test_val819_no_extension_stands_twice_in_a_group_info() -> None:
    (alice,) = established("alice")
    twice = (Extension(ExtensionType(0xF001), b""),) * 2
    with pytest.raises(MlsValidationError) as refused:
        start_public(alice.group.group_info(with_tree=True, extensions=twice), None, Seams(), None)
    assert refused.value.rule == "VAL-819"
