"""Faults of a focus, as scenarios set them: what phones see of them (§14.14)."""

from __future__ import annotations

from rcs_sim.e2ee.failure_reason import ServerFailureReason
from rcs_sim.e2ee.server_message import AcceptedMessage, CommitBundle
from rcs_sim.server.mls_fault import MlsFocusFault, as_forked
from rcs_sim.server.mls_focus import MlsFocus
from tests.rcs_sim.server.focus_network import FocusLab
from tests.rcs_sim.server.messaging_lab import BOB, CAROL
from tests.support.focus_devices import FocusDevice


def faulty(fault: MlsFocusFault) -> tuple[FocusLab, FocusDevice, FocusDevice]:
    lab = FocusLab()
    lab.registered()
    focus_of(lab).fault = fault
    return lab, FocusDevice(BOB[1:]), FocusDevice(CAROL[1:], vendor_id=1)


def focus_of(lab: FocusLab) -> MlsFocus:
    assert lab.core.focus is not None
    return lab.core.focus


def test_it_refuses_everything_with_one_reason() -> None:
    lab, one, other = faulty(MlsFocusFault(refuses_with=ServerFailureReason.TRANSIENT_ERROR))
    lab.request(one, CAROL, "create", one.create("create", [other]))
    lab.pull(one, CAROL, "p")
    assert [each.reason for each in lab.told()] == ["transient-error"] * 2
    focus_of(lab).fault = MlsFocusFault()
    lab.request(one, CAROL, "create", one.create("create", [other]))
    assert len(lab.told()) == 3  # nothing of the refusal was remembered


def test_it_decides_and_does_not_answer() -> None:
    lab, one, other = faulty(MlsFocusFault(is_silent=True))
    lab.request(one, CAROL, "create", one.create("create", [other]))
    (bundle,) = lab.told()
    assert isinstance(bundle.arm, CommitBundle)
    assert lab.conversation(BOB, CAROL).live is not None


def test_it_withholds_or_delays_a_welcome() -> None:
    lab, one, other = faulty(MlsFocusFault(withholds_fan_out=True))
    lab.request(one, CAROL, "create", one.create("create", [other]))
    assert [type(each.arm) for each in lab.told()] == [AcceptedMessage, AcceptedMessage]
    lab, one, other = faulty(MlsFocusFault(fan_out_delay_s=20.0))
    lab.request(one, CAROL, "create", one.create("create", [other]))
    assert [type(each.arm) for each in lab.told()] == [AcceptedMessage]
    lab.advance(19.0)
    assert [type(each.arm) for each in lab.told()] == [AcceptedMessage]  # converged after 5 s all the same
    lab.advance(1.5)
    assert [type(each.arm) for each in lab.told()] == [CommitBundle]


def test_it_keeps_convergence_to_itself() -> None:
    lab, one, other = faulty(MlsFocusFault(holds_convergence=True))
    lab.request(one, CAROL, "create", one.create("create", [other]))
    lab.told()
    lab.advance(60.0)
    assert lab.told() == []


def test_it_lies_about_the_authenticator() -> None:
    lab, one, other = faulty(MlsFocusFault(lies=True))
    lab.request(one, CAROL, "create", one.create("create", [other]))
    one.adopt()
    said = lab.told()
    for each in said:
        assert isinstance(each.arm, (AcceptedMessage, CommitBundle))
        assert each.arm.state is not None
        assert each.arm.state.epoch_authenticator != one.state.epoch_authenticator
        assert each.arm.state.moment == one.state.moment


def test_it_accepts_a_second_commit_on_one_base() -> None:
    lab, one, other = faulty(MlsFocusFault())
    lab.request(one, CAROL, "create", one.create("create", [other]))
    one.adopt()
    bundle = next(each.arm for each in lab.told() if each.cpim.message_id == "create")
    assert isinstance(bundle, CommitBundle)
    other.receive(bundle)
    focus_of(lab).fault = MlsFocusFault(forks=True)
    first, second = one.commit("first"), other.commit("second")
    lab.request(one, CAROL, "first", first)
    lab.told()
    lab.request(other, BOB, "second", second)
    one.adopt()
    other.adopt()
    accepted = lab.told()[0].arm
    assert isinstance(accepted, AcceptedMessage)
    assert accepted.state == other.state
    assert lab.conversation(BOB, CAROL).state == one.state
    assert one.state.moment == other.state.moment
    assert one.state != other.state


def test_other_refusals_stay() -> None:
    lab, one, _ = faulty(MlsFocusFault(forks=True))
    lab.request(one, CAROL, "x", b"junk")
    (said,) = lab.told()
    assert said.reason == "invalid-input"
    answer = lab.conversation(BOB, CAROL).answer_to(BOB[1:], "x")
    assert answer is not None
    assert as_forked(answer, b"") is None
