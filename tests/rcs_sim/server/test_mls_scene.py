"""Who would be in the group after a request, whatever its signatures are worth."""

from __future__ import annotations

from rcs_sim.e2ee.custom_proposals import self_remove_proposal
from rcs_sim.mls.identifiers import LeafIndex
from rcs_sim.mls.proposals import Remove
from rcs_sim.server.mls_conversation import MlsConversation
from rcs_sim.server.mls_request import read_request
from rcs_sim.server.mls_scene import FocusScene, numbers_of
from tests.rcs_sim.server.focus_lab import Table
from tests.support.focus_devices import ALICE, BOB, FocusDevice, seams


def scene(table: Table, octets: bytes, sender: str = ALICE, conversation: MlsConversation | None = None) -> FocusScene:
    request = read_request(sender, "id", octets)
    return FocusScene(table.rules, seams(), conversation or table.conversation, request, table.now_s)


def established() -> Table:
    table = Table()
    table.established()
    return table


def test_a_create_has_the_leaves_of_its_tree() -> None:
    table = Table()
    made = scene(table, table.alice.create("id", [table.bob]).encode())
    assert numbers_of(made.leaves_after()) == {ALICE, BOB}
    assert (made.tree, made.extensions) == (None, ())


def test_adds_removes_and_the_path_change_the_leaves() -> None:
    table = established()
    tablet = FocusDevice(BOB, "tablet", vendor_id=1)
    commit = table.alice.commit("id", Remove(LeafIndex(1)), joiners=[tablet])
    after = scene(table, commit.encode())
    own = after.own_leaf
    assert own is not None
    leaves = after.leaves_after()
    assert [each.credential for each in leaves] == [table.alice.client.credential, tablet.client.credential]
    assert own not in leaves  # its place is taken by the leaf of the path


def test_a_self_remove_takes_its_sender_away() -> None:
    table = established()
    leave = table.bob.propose("id", self_remove_proposal())
    assert numbers_of(scene(table, leave.encode(), BOB).leaves_after()) == {ALICE}


def test_who_joins_by_a_commit_is_among_the_leaves_and_an_older_one_of_it_is_found() -> None:
    table = established()
    live = table.conversation.live
    assert live is not None
    tablet = FocusDevice(ALICE, "tablet")
    fresh = scene(table, tablet.join_by_commit("id", live.pulled, live.state).encode())
    assert len(fresh.leaves_after()) == 3
    assert fresh.older_leaf() is None
    again = table.bob.join_by_commit("id", live.pulled, live.state, Remove(LeafIndex(1)))
    back = scene(table, again.encode(), BOB)
    assert (len(back.leaves_after()), back.older_leaf()) == (2, 1)


def test_a_resync_by_self_remove_replaces_the_older_leaf() -> None:
    table = established()
    live = table.conversation.live
    assert live is not None
    again = table.bob.join_by_commit("id", live.pulled, live.state, self_remove_proposal())
    assert len(scene(table, again.encode(), BOB).leaves_after()) == 2
