"""Random stories of two devices: whatever they answer and whenever, the sender is answered once and nothing is lost."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.server.messaging_actions import SendRequest
from rcs_sim.wire.cpim import CpimMessage
from tests.rcs_sim.server.messaging_lab import BOB, TABLET, Lab, UeBinding, cpim, message

TABLET_BINDING = UeBinding(TABLET, host="192.0.2.13")
_WHAT = st.sampled_from(["message", "answer", "wait", "register"])
_STEPS = st.lists(st.tuples(_WHAT, st.integers(0, 5), st.sampled_from([200, 480, 408, 500])), max_size=25)


class Story:
    """What each device has, by its own 200s."""

    def __init__(self) -> None:
        self.lab = Lab()
        self.lab.register(UeBinding(), TABLET_BINDING, by=UeBinding())
        self.lab.register(UeBinding(), TABLET_BINDING, by=TABLET_BINDING)
        self.open: list[SendRequest] = []
        self.got: dict[str, set[str]] = {}
        self.sent: list[str] = []

    def step(self, what: str, number: int, status: int) -> None:
        match what:
            case "message":
                self.sent.append(f"m{len(self.sent)}")
                self.lab.receive(message(cpim(message_id=self.sent[-1])))
            case "answer" if self.open:
                self.answer(self.open.pop(number % len(self.open)), status)
            case "wait":
                self.lab.advance(7.0 * (number + 1))
            case "register":
                by = TABLET_BINDING if number % 2 else UeBinding()
                self.lab.register(UeBinding(), TABLET_BINDING, by=replace(by, boot=str(number // 2)))
        self.open += self.lab.take()

    def answer(self, sent: SendRequest, status: int) -> None:
        if status == 200:
            message_id = CpimMessage.parse(sent.request.body).message_id
            self.got.setdefault(sent.request.request_uri_text, set()).add(message_id or "")
        self.lab.answer(sent, status)

    def finish(self) -> None:
        """Both devices come back and take everything."""
        for _ in range(3):
            while self.open:
                self.answer(self.open.pop(0), 200)
                self.open += self.lab.take()
            self.lab.advance(60.0)
            self.open += self.lab.take()
            for binding in (UeBinding(), TABLET_BINDING):
                self.lab.register(UeBinding(), TABLET_BINDING, by=binding)
                self.open += self.lab.take()


@given(_STEPS)
def test_both_devices_have_every_message_in_the_end(steps: list[tuple[str, int, int]]) -> None:
    story = Story()
    for step in steps:
        story.step(*step)
    story.finish()
    assert story.open == []
    assert all(set(story.sent) == got for got in story.got.values())
    assert len(story.got) == (2 if story.sent else 0)
    assert {answer.status for answer in story.lab.answers.values()} <= {200, 202}
    box = story.lab.core.context.mailboxes.get(f"tel:{BOB}")
    assert box is None or all(queue.in_flight is None for queue in box.queues.values())


def test_each_device_is_handed_stored_messages_in_order_and_one_at_a_time() -> None:
    story = Story()
    story.lab.deregister()
    for number in range(3):
        story.step("message", number, 200)
    handed: list[str] = []
    story.lab.register(UeBinding())
    while sent := story.lab.take():
        assert len(sent) == 1
        handed.append(CpimMessage.parse(sent[0].request.body).message_id or "")
        story.lab.answer(sent[0])
    assert handed == ["m0", "m1", "m2"]
