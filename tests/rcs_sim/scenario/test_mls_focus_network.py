"""The focus in a whole network: between carriers and within one, over the session core, with real phones' sessions.

The phones carry; what they carry is made beside them, so that nothing here depends on how they encrypt."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

import rcs_sim
from ims_core.trace import ListSink, RecordKind, TraceRecord
from rcs_sim.client.pager import message_headers
from rcs_sim.client.phone import Phone
from rcs_sim.client.session_sender import ControlCarried
from rcs_sim.e2ee.certificate_profile import Strictness
from rcs_sim.e2ee.certificate_validator import CertificateValidator
from rcs_sim.e2ee.client_message import ClientMlsRcsMessage, MlsGroupInfo
from rcs_sim.e2ee.credential_identity import X509Identity, msisdn_of
from rcs_sim.e2ee.custom_proposals import rcs_seams
from rcs_sim.e2ee.server_message import AcceptedMessage, CommitBundle, decode_server_message
from rcs_sim.e2ee.trust_anchors import TrustAnchors
from rcs_sim.mls.seams import Seams
from rcs_sim.scenario.loader import load_device, load_network, profile_folder
from rcs_sim.scenario.simulation import Simulation
from rcs_sim.server.mls_conversation import MlsConversation
from rcs_sim.wire.cpim import ANONYMOUS_URI, CPIM_CONTENT_TYPE, CpimMessage, compose_cpim
from tests.support.focus_devices import NOW_S, FocusDevice

ALICE, BOB, CAROL = "+12025550101", "+12025550152", "+12025550102"
NETWORK = load_network("two-carriers-plain").model_copy(update={"e2ee": True})
Story = Callable[[Simulation, deque[TraceRecord]], Awaitable[None]]


@pytest.fixture
def handset(tmp_path: Path) -> str:
    """A device that encrypts nothing by itself."""
    text = (profile_folder() / "devices" / "strict-v3.yaml").read_text()
    kept = text.partition("\ne2ee:")[0] + "\n"
    path = tmp_path / "plain.yaml"
    path.write_text(kept)
    assert load_device(str(path)).e2ee is None
    return str(path)


def simulated(story: Story) -> None:
    async def main() -> None:
        sink = ListSink()
        async with Simulation(NETWORK) as simulation:
            simulation.trace.add_sink(sink)
            await story(simulation, sink.records)

    rcs_sim.run(main, clock="virtual")


def trusted(simulation: Simulation) -> Seams:
    validator = CertificateValidator(TrustAnchors(simulation.lab.anchors), Strictness.TOLERANT)
    return rcs_seams(X509Identity(validator), msisdn_of)


def device(simulation: Simulation, number: str, carrier: str) -> FocusDevice:
    service = simulation.lab.carriers[carrier].key_service
    assert service is not None
    pki = service.plan.pki
    made = FocusDevice(number[1:], vendor_id=pki.vendor_id, issuer=pki, trusted=trusted(simulation))
    made.now_s = NOW_S
    return made


def composed(control_id: str, body: bytes, content_type: str) -> bytes:
    return compose_cpim(
        sender=ANONYMOUS_URI,
        recipient=ANONYMOUS_URI,
        message_id=control_id,
        date_time="2026-03-02T10:15:30.000Z",
        body=body,
        content_type=content_type,
        disposition_notification=("negative-delivery",),
    )


def carry(phone: Phone, peer: str, control_id: str, asked: ClientMlsRcsMessage) -> None:
    """The phone sends a request in a session of the conversation with *peer*."""
    cpim, messenger = composed(control_id, asked.encode(), "message/mls-rcs-client"), phone._messenger
    assert messenger.sessions is not None
    messenger.sessions.carry(phone.chat(peer)._conversation, ControlCarried(cpim, lambda outcome: None))


def pull(phone: Phone, peer: str, control_id: str) -> None:
    """The phone asks for the GroupInfo, by MESSAGE."""
    messenger, chat = phone._messenger, phone.chat(peer)._conversation
    assert messenger.pager is not None
    headers = message_headers(chat.id, messenger.tokens.uuid())
    cpim = composed(control_id, b"", "message/mls-rcs")
    messenger.pager.send_octets(chat.peer, headers, cpim, CPIM_CONTENT_TYPE, lambda outcome, sent: None)


def conversation(simulation: Simulation, carrier: str, one: str, other: str) -> MlsConversation:
    focus = simulation.lab.carriers[carrier].messaging_server.core.focus
    assert focus is not None
    found = focus.conversation(one[1:], other[1:])
    assert found is not None
    return found


def delivered_to(records: deque[TraceRecord], phone: str) -> list[CpimMessage]:
    """Whole CPIM messages that reached a phone, by MESSAGE or in one session chunk after the other."""
    found, parts = [], dict[str, bytearray]()
    for record in records:
        if record.kind is not RecordKind.MESSAGE or record.target != phone:
            continue
        head, _, rest = record.raw.partition(b"\r\n\r\n")
        if record.summary.startswith("MESSAGE "):
            found.append(CpimMessage.parse(rest))
        elif record.summary.startswith("SEND ") and b"message/cpim" in head:
            name = next(line for line in head.split(b"\r\n") if line.startswith(b"Message-ID"))
            end = rest.rindex(b"\r\n-------")
            whole = parts.setdefault(name.decode(), bytearray())
            whole += rest[:end]
            if record.raw.rstrip().endswith(b"$"):
                found.append(CpimMessage.parse(bytes(whole)))
    return found


def mls(found: list[CpimMessage]) -> list[object]:
    return [decode_server_message(each.body) for each in found if each.content_type.essence.endswith("mls-rcs-server")]


def bundle_in(records: deque[TraceRecord], phone: str) -> CommitBundle:
    """The last one that a phone got."""
    return [each for each in mls(delivered_to(records, phone)) if isinstance(each, CommitBundle)][-1]


def answers_in(records: deque[TraceRecord], phone: str) -> list[tuple[str, bool]]:
    """Acceptances that a phone got: of which request, and whether it has converged."""
    found = [each for each in mls(delivered_to(records, phone)) if isinstance(each, AcceptedMessage)]
    return [(each.message_id, each.converged) for each in found]


def test_between_two_carriers_the_lower_numbers_server_decides_and_the_other_forwards(handset: str) -> None:
    async def story(simulation: Simulation, records: deque[TraceRecord]) -> None:
        alice = await simulation.add_phone("alice", handset, "red", msisdn=ALICE)
        bob = await simulation.add_phone("bob", handset, "blue", msisdn=BOB)
        one, other = device(simulation, ALICE, "red"), device(simulation, BOB, "blue")
        carry(alice, BOB, "create", one.create("create", [other]))
        await asyncio.sleep(8)
        one.adopt()
        assert answers_in(records, "alice") == [("create", False), ("create", True)]
        other.receive(bundle_in(records, "bob"))
        assert other.state == one.state
        carry(bob, ALICE, "rekey", other.commit("rekey"))
        await asyncio.sleep(8)
        other.adopt()
        assert answers_in(records, "bob") == [("rekey", False), ("rekey", True)]
        one.receive(bundle_in(records, "alice"))
        assert conversation(simulation, "red", ALICE, BOB).state == one.state == other.state
        blue = simulation.lab.carriers["blue"].messaging_server.core.focus
        assert blue is not None
        assert blue.conversation(ALICE[1:], BOB[1:]) is None

    simulated(story)


def test_within_one_carrier_the_requester_with_the_higher_number_is_answered_too(handset: str) -> None:
    async def story(simulation: Simulation, records: deque[TraceRecord]) -> None:
        await simulation.add_phone("alice", handset, "red", msisdn=ALICE)
        carol = await simulation.add_phone("carol", handset, "red", msisdn=CAROL)
        one, other = device(simulation, CAROL, "red"), device(simulation, ALICE, "red")
        carry(carol, ALICE, "create", one.create("create", [other]))
        await asyncio.sleep(8)
        one.adopt()
        assert answers_in(records, "carol") == [("create", False), ("create", True)]
        other.receive(bundle_in(records, "alice"))
        assert conversation(simulation, "red", ALICE, CAROL).state == other.state == one.state

    simulated(story)


def test_a_phone_that_is_away_finds_the_bundle_when_it_comes_back(handset: str) -> None:
    async def story(simulation: Simulation, records: deque[TraceRecord]) -> None:
        alice = await simulation.add_phone("alice", handset, "red", msisdn=ALICE)
        bob = await simulation.add_phone("bob", handset, "blue", msisdn=BOB)
        await bob.power_off()
        one, other = device(simulation, ALICE, "red"), device(simulation, BOB, "blue")
        carry(alice, BOB, "create", one.create("create", [other]))
        await asyncio.sleep(8)
        one.adopt()
        assert answers_in(records, "alice")[-1] == ("create", True)  # blue's server has it
        assert mls(delivered_to(records, "bob")) == []
        await bob.power_on()
        await asyncio.sleep(8)
        other.receive(bundle_in(records, "bob"))
        assert other.state == one.state

    simulated(story)


def test_an_answer_that_is_too_long_for_a_message_goes_in_a_session_that_the_server_opens(handset: str) -> None:
    async def story(simulation: Simulation, records: deque[TraceRecord]) -> None:
        alice = await simulation.add_phone("alice", handset, "red", msisdn=ALICE)
        bob = await simulation.add_phone("bob", handset, "blue", msisdn=BOB)
        one, other = device(simulation, ALICE, "red"), device(simulation, BOB, "blue")
        carry(alice, BOB, "create", one.create("create", [other]))
        await asyncio.sleep(900)  # the session has long ended
        one.adopt()
        records.clear()
        for phone, peer in ((bob, ALICE), (alice, BOB)):
            pull(phone, peer, f"pull-{phone.config.name}")
            await asyncio.sleep(8)
            told = [each for each in mls(delivered_to(records, phone.config.name)) if isinstance(each, MlsGroupInfo)]
            assert told == [conversation(simulation, "red", ALICE, BOB).live.pulled]
        opened = [each for each in records if each.summary.startswith("INVITE")]
        assert {each.source for each in opened if each.source.endswith("messaging_server")}
        assert not any(b"P-Served-User" in each.raw for each in opened if each.target == "blue.icscf")

    simulated(story)
