"""Two of the fifteen checks of §14.6 would refuse one request: the first of them decides, for every pair that can come
together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import pytest

from rcs_sim.e2ee.client_message import ClientMlsRcsMessage, ClientOperation, MlsGroupInfo
from rcs_sim.e2ee.extension_bodies import era_extension, replace_extension
from rcs_sim.mls.identifiers import LeafIndex
from rcs_sim.mls.messages import MLSMessage
from rcs_sim.mls.proposals import GroupContextExtensions, Proposal, Remove
from rcs_sim.server.mls_request import read_group_info
from rcs_sim.server.mls_rules import MlsFocusRules
from tests.rcs_sim.server.focus_lab import Table, bundle_of
from tests.rcs_sim.server.test_mls_checks import without_rules
from tests.support.focus_devices import ALICE, BOB, FocusDevice

CAROL = "12025550154"
_TOKENS = {
    1: "invalid-input",
    3: "mismatched-rcs-group-state",
    5: "epoch-advancement-quota-reached",
    6: "mls-group-has-end-mls",
    7: "incorrect-epoch",
    8: "invalid-input",
    9: "pending-proposal",
    10: "invalid-commit",
    11: "invalid-commit",
    12: "expired-credential",
    13: "mismatched-rcs-group-state",
    14: "invalid-commit",
    15: "mismatched-confirmation-tag",
}
_CANNOT_MEET = {(6, 9), (9, 10)}  # an ended group takes no proposal; who joins from outside sweeps none


@dataclass
class _Case:
    """A commit of Alice with these faults."""

    faults: frozenset[int]

    def answer(self) -> tuple[int, str]:
        table = self._table()
        request = self._spoiled(table, self._commit(table))
        if 12 in self.faults:
            table.now_s += 31 * 86_400
        if 5 in self.faults:
            table.arbiter._rules = MlsFocusRules(epochs_per_day=0)
        decision = table.ask_octets(BOB if 3 in self.faults else ALICE, "id", request.encode())
        return decision.check, decision.answer.reason

    def _table(self) -> Table:
        table = Table()
        table.established()
        tablet = FocusDevice(BOB, "tablet", vendor_id=1)
        table.bob.receive(bundle_of(table.accepted(table.alice, "add", table.alice.commit("add", joiners=[tablet]))))
        if 6 in self.faults:
            table.accepted(table.alice, "end", table.alice.end_mls("end"))
        if 9 in self.faults:
            assert table.ask(table.bob, "p", table.bob.propose("p", Remove(LeafIndex(2)))).is_accepted
        return table

    def _commit(self, table: Table) -> ClientMlsRcsMessage:
        alice, proposals = table.alice, list[Proposal]()
        if 11 in self.faults:
            proposals.append(
                GroupContextExtensions(replace_extension(alice.group.context.extensions, era_extension(2)))
            )
            alice.group.policy = without_rules(alice)
        return alice.commit(
            "id",
            *proposals,
            joiners=[FocusDevice(CAROL)] if 13 in self.faults else [],
            authenticated_data=b"" if 8 in self.faults else None,
        )

    def _spoiled(self, table: Table, request: ClientMlsRcsMessage) -> ClientMlsRcsMessage:
        assert request.base is not None
        assert request.group_info is not None
        info = request.group_info
        if 15 in self.faults:
            info = _with_other_tag(table.alice, info)
        if 14 in self.faults:
            info = replace(info, ratchet_tree=table.alice.group.ratchet_tree().encode())  # that of before
        request = replace(request, group_info=info)
        if 7 in self.faults:
            request = replace(request, base=replace(request.base, epoch_id=77))
        if 10 in self.faults:
            request = replace(request, operation=ClientOperation.EXTERNAL_COMMIT)
        return replace(request, result=None) if 1 in self.faults else request


def _with_other_tag(device: FocusDevice, info: MlsGroupInfo) -> MlsGroupInfo:
    lying = replace(read_group_info(info.group_info), confirmation_tag=bytes(32), signature=b"")
    signature = device.client.suite.sign_with_label(device.leaf_key, "GroupInfoTBS", lying.to_be_signed())
    return replace(info, group_info=MLSMessage(replace(lying, signature=signature)).encode())


@pytest.mark.parametrize("fault", _TOKENS)
def test_each_fault_alone_is_found_by_its_check(fault: int) -> None:
    assert _Case(frozenset({fault})).answer() == (fault, _TOKENS[fault])


@pytest.mark.parametrize(("first", "second"), [pair for pair in combinations(_TOKENS, 2) if pair not in _CANNOT_MEET])
def test_of_two_the_first_decides(first: int, second: int) -> None:
    assert _Case(frozenset({first, second})).answer() == (first, _TOKENS[first])
