"""The proposals of an epoch."""

from __future__ import annotations

import pytest

from rcs_sim.mls import proposal_list
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.identifiers import CipherSuiteId, LeafIndex, ProposalType, ProtocolVersion
from rcs_sim.mls.messages import Sender
from rcs_sim.mls.proposal_list import ProposalCache, ProposalList, QueuedProposal, resolve_proposals
from rcs_sim.mls.proposals import (
    CustomProposal,
    ExternalInit,
    GroupContextExtensions,
    Proposal,
    ProposalRef,
    ReInit,
    Remove,
)

_SENDER = Sender.member(LeafIndex(1))
_REMOVE = Remove(LeafIndex(2))
_CUSTOM = CustomProposal(ProposalType(0xF003), b"")


def listed(*proposals: Proposal) -> ProposalList:
    return ProposalList(tuple(QueuedProposal(each, _SENDER) for each in proposals))


def test_proposals_by_value_and_by_reference_keep_their_order() -> None:
    cache = ProposalCache()
    reference = ProposalRef(b"ref")
    cache.add(reference, _CUSTOM, Sender.member(LeafIndex(5)))
    found = resolve_proposals((_REMOVE, reference), _SENDER, cache)
    assert [(each.proposal, each.sender.index) for each in found] == [(_REMOVE, 1), (_CUSTOM, 5)]
    assert [each.as_covered() for each in found] == [_REMOVE, reference]
    cache.drop(reference)
    with pytest.raises(MlsValidationError) as refused:
        resolve_proposals((reference,), _SENDER, cache)
    assert refused.value.rule == "VAL-802"


def test_val801_a_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proposal_list, "MAX_CACHED_PROPOSALS", 2)
    cache = ProposalCache()
    for place in (0, 1, 1):
        cache.add(ProposalRef(bytes([place])), _REMOVE, _SENDER)
    with pytest.raises(MlsValidationError) as refused:
        cache.add(ProposalRef(b"third"), _REMOVE, _SENDER)
    assert refused.value.rule == "VAL-801"
    assert len(cache) == 2


@pytest.mark.parametrize(
    ("proposal", "needed"),
    [
        (_REMOVE, True),
        (GroupContextExtensions(()), True),
        (ExternalInit(b""), True),
        (_CUSTOM, False),
        (ReInit(b"", ProtocolVersion.MLS10, CipherSuiteId(1), ()), False),
    ],
)
def test_a_path_is_needed_by_some_types(proposal: Proposal, needed: bool) -> None:
    assert listed(proposal).needs_path() is needed
    assert listed().needs_path()
