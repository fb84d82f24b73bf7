from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.server.mailbox import HeldMessage, HeldState, Mailboxes
from tests.rcs_sim.server.messaging_lab import cpim, message

OWNER = "tel:+12025550152"
REQUEST = message()


def add(boxes: Mailboxes, message_id: str, *instances: str, is_limited: bool = True) -> HeldMessage:
    return boxes.add(
        OWNER, REQUEST, sender="tel:+1", message_id=message_id, now=0.0, expires_at=10.0,
        instances=frozenset(instances), is_limited=is_limited,
    )  # fmt: skip


def test_a_message_for_any_device_waits_for_each_and_a_named_one_for_those_alone() -> None:
    boxes = Mailboxes(10, 100)
    for_any, for_y = add(boxes, "a"), add(boxes, "b", "y")
    box = boxes.get(OWNER)
    assert box is not None
    assert (box.next_for("x"), box.next_for("y")) == (for_any, for_any)
    for instance in ("x", "y"):
        for_any.taken_by.add(instance)
        box.move_cursor(instance)
    assert (box.next_for("x"), box.next_for("y"), box.next_for("new")) == (None, for_y, for_any)
    assert boxes.has_backlog(OWNER, "y")
    assert not boxes.has_backlog(OWNER, "x")


@given(st.permutations(range(6)))
def test_a_cursor_never_passes_a_message_that_the_device_is_to_get(order: list[int]) -> None:
    boxes = Mailboxes(10, 100)
    messages = [add(boxes, str(number)) for number in range(6)]
    box = boxes.get(OWNER)
    assert box is not None
    for count, number in enumerate(order, 1):
        messages[number].taken_by.add("x")
        box.move_cursor("x")
        missing = [held.order for index, held in enumerate(messages) if index not in order[:count]]
        assert box.queue("x").cursor == (missing[0] - 1 if missing else messages[-1].order)


def test_a_message_that_is_being_revoked_is_not_handed_out_and_not_passed_over() -> None:
    boxes = Mailboxes(10, 100)
    first, second = add(boxes, "a"), add(boxes, "b")
    box = boxes.get(OWNER)
    assert box is not None
    first.state = HeldState.REVOKING
    assert box.next_for("x") is second
    second.taken_by.add("x")
    box.move_cursor("x")
    first.state = HeldState.WAITING
    assert box.next_for("x") is first


def test_room_is_limited_per_user_and_in_total_but_receipts_only_in_total() -> None:
    boxes = Mailboxes(2, 3)
    add(boxes, "a")
    add(boxes, "b")
    assert not boxes.room_for(OWNER, True)
    assert boxes.room_for(OWNER, False)
    assert boxes.room_for("tel:+2", True)
    add(boxes, "c", is_limited=False)
    assert not boxes.room_for("tel:+2", True)


def test_an_empty_mailbox_is_gone_and_names_the_cursors_that_are_of_no_more_use() -> None:
    boxes = Mailboxes(10, 100)
    held = add(boxes, "a")
    box = boxes.get(OWNER)
    assert box is not None
    held.taken_by.add("x")
    box.move_cursor("x")
    assert boxes.remove(held) == [f"{OWNER} x"]
    assert boxes.remove(held) == []
    assert boxes.get(OWNER) is None
    assert len(boxes) == 0


def test_order_goes_on_after_a_restart() -> None:
    boxes = Mailboxes(10, 100)
    add(boxes, "a")
    record = add(boxes, "b").to_record()
    again = Mailboxes(10, 100)
    again.load([record], [])
    assert add(again, "c").order == record.order + 1


def test_what_is_gone_keeps_no_octets() -> None:
    boxes = Mailboxes(10, 100)
    held = add(boxes, "a")
    boxes.remove(held)
    assert held.to_record().octets == b""


def test_a_mailbox_holds_so_many_octets_and_all_of_them_so_many() -> None:
    boxes = Mailboxes(100, 1000, max_octets=4000, max_octets_total=6000)
    request = message(cpim("x" * 1500))
    held = boxes.add("tel:+1", request, sender="a", message_id="m1", now=0.0, expires_at=9.0)
    assert not boxes.room_for("tel:+1", True, 2500)
    assert boxes.room_for("tel:+1", True, 500)
    assert boxes.room_for("tel:+2", True, 3000)
    assert not boxes.room_for("tel:+2", True, 4500)
    boxes.remove(held)
    assert boxes.room_for("tel:+1", True, 2500)


def test_a_long_message_can_be_read_again() -> None:
    boxes = Mailboxes(10, 100)
    request = message(cpim("x" * 300_000))
    held = boxes.add("tel:+1", request, sender="a", message_id="m1", now=0.0, expires_at=9.0)
    loaded, unreadable = Mailboxes(10, 100).load([held.to_record()], [])
    assert unreadable == []
    assert loaded[0].request.body == request.body
