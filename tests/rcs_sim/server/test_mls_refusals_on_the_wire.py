"""Each of the fifteen checks of §14.6: its token in the notification that goes out, its detail in the header beside it,
its number in the trace; and nothing has changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from rcs_sim.e2ee.client_message import ClientMlsRcsMessage, ClientOperation, MlsGroupInfo
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.extension_bodies import era_extension, replace_extension
from rcs_sim.mls.identifiers import LeafIndex
from rcs_sim.mls.messages import MLSMessage
from rcs_sim.mls.proposals import GroupContextExtensions, Remove
from rcs_sim.server.mls_request import read_group_info
from rcs_sim.server.mls_rules import MlsFocusRules
from rcs_sim.wire.imdn import Imdn
from tests.rcs_sim.server.focus_network import FOCUS_CONFIG, ZOE, FocusLab, Said
from tests.rcs_sim.server.messaging_lab import BOB, CAROL
from tests.rcs_sim.server.test_mls_checks import without_rules
from tests.support.focus_devices import FocusDevice

_ID = "refused-1"
Make = Callable[[FocusLab, FocusDevice, FocusDevice], ClientMlsRcsMessage | bytes]


def _garbage(lab: FocusLab, bob: FocusDevice, carol: FocusDevice) -> bytes:
    return b"\xff\xff\xff"


def _broken_commit(lab: FocusLab, bob: FocusDevice, carol: FocusDevice) -> ClientMlsRcsMessage:
    return replace(bob.commit(_ID), commit=b"\x00\x01\x00\x01broken")


def _first_group(lab: FocusLab, bob: FocusDevice, carol: FocusDevice) -> ClientMlsRcsMessage:
    return bob.create(_ID, [carol])


def _by_another(lab: FocusLab, bob: FocusDevice, carol: FocusDevice) -> ClientMlsRcsMessage:
    return carol.commit(_ID)  # Carol's commit, sent by Bob


def _second_era(lab: FocusLab, bob: FocusDevice, carol: FocusDevice) -> ClientMlsRcsMessage:
    return bob.new_era(_ID, [carol], bob.state)


def _after_the_end(lab: FocusLab, bob: FocusDevice, carol: FocusDevice) -> ClientMlsRcsMessage:
    assert lab.request(bob, CAROL, "end", bob.end_mls("end")) is not None
    bob.adopt()
    lab.told()
    return bob.propose(_ID, Remove(LeafIndex(1)))


def _base(change: Callable[[EpochIdentifier], EpochIdentifier]) -> Make:
    def make(lab: FocusLab, bob: FocusDevice, carol: FocusDevice) -> ClientMlsRcsMessage:
        request = bob.commit(_ID)
        assert request.base is not None
        return replace(request, base=change(request.base))

    return make


def _unbound(lab: FocusLab, bob: FocusDevice, carol: FocusDevice) -> ClientMlsRcsMessage:
    return bob.commit(_ID, authenticated_data=b"")


def _one_proposal_too_many(lab: FocusLab, bob: FocusDevice, carol: FocusDevice) -> ClientMlsRcsMessage:
    tablet = FocusDevice(CAROL[1:], "tablet", vendor_id=1)
    lab.request(bob, CAROL, "add", bob.commit("add", joiners=[tablet]))
    bob.adopt()
    lab.told()
    lab.request(bob, CAROL, "one", bob.propose("one", Remove(LeafIndex(2))))
    lab.told()
    return bob.propose(_ID, Remove(LeafIndex(2)))


def _member_from_outside(lab: FocusLab, bob: FocusDevice, carol: FocusDevice) -> ClientMlsRcsMessage:
    return replace(bob.commit(_ID), operation=ClientOperation.EXTERNAL_COMMIT)


def _era_moved(lab: FocusLab, bob: FocusDevice, carol: FocusDevice) -> ClientMlsRcsMessage:
    moved = GroupContextExtensions(replace_extension(bob.group.context.extensions, era_extension(2)))
    bob.group.policy = without_rules(bob)
    return bob.commit(_ID, moved)


def _too_old(lab: FocusLab, bob: FocusDevice, carol: FocusDevice) -> ClientMlsRcsMessage:
    lab.now += 31 * 86_400
    bob.now_s = int(lab.now)
    return bob.propose(_ID, Remove(LeafIndex(1)))


def _ghost(lab: FocusLab, bob: FocusDevice, carol: FocusDevice) -> ClientMlsRcsMessage:
    return bob.commit(_ID, joiners=[FocusDevice(ZOE[1:], vendor_id=1)])


def _bent(lab: FocusLab, bob: FocusDevice, carol: FocusDevice) -> ClientMlsRcsMessage:
    request = bob.commit(_ID)
    at = len(request.commit) - 100
    return replace(request, commit=request.commit[:at] + bytes((request.commit[at] ^ 1,)) + request.commit[at + 1 :])


def _other_tag(lab: FocusLab, bob: FocusDevice, carol: FocusDevice) -> ClientMlsRcsMessage:
    request = bob.commit(_ID)
    assert request.group_info is not None
    lying = replace(read_group_info(request.group_info.group_info), confirmation_tag=bytes(32), signature=b"")
    signature = bob.client.suite.sign_with_label(bob.leaf_key, "GroupInfoTBS", lying.to_be_signed())
    info, beside = MLSMessage(replace(lying, signature=signature)).encode(), request.group_info
    return replace(request, group_info=MlsGroupInfo(info, beside.ratchet_tree, beside.epoch_authenticator))


_NOT_IN_GROUP = ("mismatched-rcs-group-state", "not-in-group")


@pytest.mark.parametrize(
    ("check", "token", "detail", "make", "rules", "has_group"),
    [
        (1, "invalid-input", "body", _garbage, {}, True),
        (1, "unparsable-commit", "commit", _broken_commit, {}, True),
        (2, "mls-group-not-found", "", _first_group, {}, False),
        (3, *_NOT_IN_GROUP, _by_another, {}, True),
        (4, "incorrect-era", "held", _first_group, {}, True),
        (5, "era-advancement-quota-reached", "", _second_era, {"eras_per_day": 0}, True),
        (6, "mls-group-has-end-mls", "", _after_the_end, {}, True),
        (7, "incorrect-era", "", _base(lambda at: replace(at, era_id=2)), {}, True),
        (7, "incorrect-epoch", "", _base(lambda at: replace(at, epoch_id=2**64 - 1)), {}, True),
        (
            7,
            "incorrect-epoch-authenticator",
            "",
            _base(lambda at: replace(at, epoch_authenticator=bytes(32))),
            {},
            True,
        ),
        (8, "invalid-input", "aad", _unbound, {}, True),
        (9, "pending-proposal", "proposal", _one_proposal_too_many, {"max_cached_proposals": 1}, True),
        (10, "invalid-commit", "external-commit-refused", _member_from_outside, {}, True),
        (11, "invalid-commit", "proposal", _era_moved, {}, True),
        (12, "expired-credential", f"tel:{BOB}", _too_old, {}, True),
        (13, "mismatched-rcs-group-state", f"tel:{ZOE}", _ghost, {}, True),
        (14, "invalid-commit", None, _bent, {}, True),
        (15, "mismatched-confirmation-tag", "", _other_tag, {}, True),
    ],
)
def test_each_check_is_named_on_the_wire_and_in_the_trace(
    check: int, token: str, detail: str | None, make: Make, rules: dict[str, object], has_group: bool
) -> None:
    lab = FocusLab(config=replace(FOCUS_CONFIG, mls_rules=MlsFocusRules(**rules)))
    lab.registered()
    bob, carol = FocusDevice(BOB[1:]), FocusDevice(CAROL[1:], vendor_id=1)
    if has_group:
        lab.request(bob, CAROL, "create", bob.create("create", [carol]))
        bob.adopt()
        said = lab.told()
        carol.receive(next(each.arm for each in said if each.cpim.message_id == "create"))
        request = make(lab, bob, carol)
    else:
        request = _without_group(bob, carol)
    before = lab.core.focus.conversation(BOB[1:], CAROL[1:])
    answer = lab.request(bob, CAROL, _ID, request)
    assert answer is not None
    assert answer.status == 200
    (refusal,) = lab.told()
    _says(refusal, token, detail, has_group=has_group)
    assert any(f"check {check}: {token}" in note.reason for note in lab.notes if note.summary == "focus refused")
    after = lab.core.focus.conversation(BOB[1:], CAROL[1:])
    assert (None if before is None else before.state) == (None if after is None else after.state)


def _without_group(bob: FocusDevice, carol: FocusDevice) -> ClientMlsRcsMessage:
    """A commit in a conversation that this focus has never heard of."""
    bob.create("elsewhere", [carol])
    bob.adopt()
    return bob.commit(_ID)


def _says(refusal: Said, token: str, detail: str | None, *, has_group: bool) -> None:
    imdn, headers = Imdn.parse(refusal.cpim.body), refusal.headers
    assert refusal.kind == "message/imdn+xml"
    assert (imdn.message_id, imdn.server_failure_reason) == (_ID, token)
    assert detail is None or headers.detail == detail
    assert (headers.server_era is not None, bool(headers.group_id)) == (has_group, has_group)
    assert bool(headers.server_epoch_authenticator) is has_group
