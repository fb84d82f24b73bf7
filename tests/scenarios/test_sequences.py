"""The numbered hop-by-hop sequences of digest §19 on the wire, header by header: who adds what, and who removes it.

Each test compares the header fields of a request on one link with those on the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

import pytest

import rcs_sim
from ims_core.nodes.embedded_registration import read_embedded_registration
from ims_core.trace import ListSink, RecordKind
from ims_core.wire.reginfo import RegInfo
from ims_core.wire.sip.feature_tags import FeatureSet
from ims_core.wire.sip.headers import Authorization, Contact, MaxForwards, Via, WwwAuthenticate
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.parser import parse_datagram
from ims_core.wire.sms.rpdu import RpAck, RpData, parse_rpdu
from rcs_sim.client.message_state import MessageState, MessageTransport
from rcs_sim.client.phone import Phone
from rcs_sim.scenario.simulation import Simulation
from rcs_sim.wire.cpim import CpimMessage
from rcs_sim.wire.imdn import Imdn

RED, BLUE = "ims.mnc001.mcc001.3gppnetwork.org", "ims.mnc002.mcc001.3gppnetwork.org"
ALICE, BOB = "+12025550101", "+12025550152"
ALICE_SHA, ALICE_AKA = "+12025550104", "+12025550105"
SMS, CPIM = "application/vnd.3gpp.sms", "message/cpim"
ICSI = "urn:urn-7:3gpp-service.ims.icsi.oma.cpm"

# Fields that only the network may write or read: none of them reaches a UE (digest §15.1), but for the answers to
# REGISTER, where Path, Service-Route and P-Associated-URI belong.
_CORE_ONLY = {
    *("p-charging-vector", "p-charging-function-addresses", "p-served-user", "p-visited-network-id"),
    *("p-access-network-info", "p-preferred-identity", "p-preferred-service", "route", "path"),
}
_NEVER_ACROSS = {
    *("p-preferred-identity", "p-preferred-service", "p-charging-function-addresses", "p-access-network-info"),
    *("p-visited-network-id", "p-served-user", "p-called-party-id", "path", "service-route", "p-associated-uri"),
    *("security-client", "security-server", "security-verify", "authorization", "proxy-authorization", "route"),
}


@dataclass(frozen=True)
class Hop:
    """One message on one link."""

    source: str
    target: str
    message: Request | Response

    @property
    def names(self) -> set[str]:
        return set(self.message.names())

    @property
    def request(self) -> Request:
        assert isinstance(self.message, Request)
        return self.message

    @property
    def response(self) -> Response:
        assert isinstance(self.message, Response)
        return self.message


class Wire:
    """What crossed the links of a simulation, since the last `forget`."""

    def __init__(self, sim: Simulation, sink: ListSink) -> None:
        self.sim, self._sink = sim, sink

    def forget(self) -> None:
        self._sink.records.clear()

    def hops(self) -> list[Hop]:
        return [
            Hop(record.source, record.target, parse_datagram(record.raw))
            for record in self._sink.records
            if record.kind is RecordKind.MESSAGE and record.protocol == "SIP"
        ]

    def requests(self, method: str, body: str = "") -> list[Hop]:
        """Requests with that method whose body contains *body*, in the order in which they were sent."""
        return [
            hop
            for hop in self.hops()
            if isinstance(hop.message, Request) and hop.message.method == method and body.encode() in hop.message.body
        ]

    def path(self, hops: Iterable[Hop]) -> list[str]:
        """The elements that a request passed, both ends included."""
        hops = list(hops)
        return [hops[0].source, *(hop.target for hop in hops)]

    def answers(self, hop: Hop) -> list[Response]:
        """The responses to a request on its own link."""
        wanted = hop.request.top_via.branch
        return [
            other.message
            for other in self.hops()
            if isinstance(other.message, Response)
            and (other.source, other.target) == (hop.target, hop.source)
            and other.message.top_via.branch == wanted
        ]


def play(story: Callable[[Wire], Awaitable[None]]) -> None:
    """Runs *story*, then looks at every message that there was."""

    async def main() -> None:
        sink = ListSink()
        checked = ListSink()
        async with Simulation("two-carriers-plain", sinks=[sink, checked]) as sim:
            await story(Wire(sim, sink))
        _check_every_message(Wire(sim, checked).hops())

    rcs_sim.run(main, clock="virtual")


def _check_every_message(hops: list[Hop]) -> None:
    """What holds for each message wherever it is."""
    assert hops
    for hop in hops:
        where = f"{hop.source} > {hop.target}: {hop.message.summary()}"
        is_to_ue = hop.source.endswith(".pcscf") and "." not in hop.target
        is_across = hop.source.endswith(".ibcf") and hop.target.endswith(".ibcf")
        if isinstance(hop.message, Request):
            assert 0 < hop.message.require(MaxForwards).value <= 70, where
            assert len(hop.message.get_all(Via)) == len({via.branch for via in hop.message.get_all(Via)}), where
        if is_to_ue:
            for_register = {"path"} if hop.message.cseq.method == "REGISTER" else set()
            assert not hop.names & (_CORE_ONLY - for_register), where
        if is_across:
            assert not hop.names & _NEVER_ACROSS, where
            own = "127.0.1.13" if hop.source == "red.ibcf" else "127.0.2.13"
            other = "127.0.2.13" if hop.source == "red.ibcf" else "127.0.1.13"
            hosts = [via.host for via in hop.message.get_all(Via)]
            assert hosts == [own if isinstance(hop.message, Request) else other], where
        if hop.source not in ("alice", "bob") and hop.message.cseq.method != "REGISTER":
            assert not hop.names & {"p-preferred-identity"}, where
        assert b"password" not in hop.message.encode(), where


def _added(before: Hop, after: Hop) -> set[str]:
    return after.names - before.names


def _removed(before: Hop, after: Hop) -> set[str]:
    return before.names - after.names


def _assert_same(before: Hop, after: Hop, *names: str) -> None:
    for name in names:
        assert before.message.texts(name) == after.message.texts(name), name


async def _phones(wire: Wire, alice: str = ALICE) -> tuple[Phone, Phone]:
    """Both phones, registered and quiet, and each with the other's capabilities."""
    one = await wire.sim.add_phone("alice", msisdn=alice)
    other = await wire.sim.add_phone("bob", "ios", "blue", msisdn=BOB)
    await (await one.chat(BOB).send("first")).delivered(within_s=10)
    other.chat(ALICE).read()
    await asyncio.sleep(60)
    wire.forget()
    return one, other


# --- §19.1 -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("msisdn", "algorithm", "first", "second"),
    [
        (ALICE, "MD5", "ip-assoc-pending", "ip-assoc-pending"),
        (ALICE_SHA, "SHA-256", "ip-assoc-pending", "ip-assoc-pending"),
        (ALICE_AKA, "AKAv1-MD5", "no", "no"),
    ],
    ids=["MD5", "SHA-256", "AKA"],
)
def test_19_1_registration(msisdn: str, algorithm: str, first: str, second: str) -> None:
    async def story(wire: Wire) -> None:
        await wire.sim.add_phone("alice", msisdn=msisdn)
        await asyncio.sleep(5)
        registers = [hop for hop in wire.requests("REGISTER") if hop.target not in _SERVERS]
        assert [hop.target for hop in registers] == ["red.pcscf", "red.icscf", "red.scscf"] * 2
        for (at_p, at_i, at_s), protection in zip((registers[:3], registers[3:]), (first, second), strict=True):
            _check_register_hops(at_p, at_i, at_s, protection)
        _check_challenge(wire, registers[:3], algorithm)
        _check_granted(wire, registers[3:], algorithm)
        _check_third_party(wire, registers[5])

    play(story)


_SERVERS = ("red.ipsmgw", "red.messaging_server")


def _check_register_hops(at_p: Hop, at_i: Hop, at_s: Hop, protection: str) -> None:
    """Steps 1, 2, 4 and 9 to 11."""
    assert at_p.request.request_uri_text == at_i.request.request_uri_text == f"sip:{RED}"
    assert at_s.request.request_uri_text == f"sip:scscf.{RED}"
    assert _added(at_p, at_i) == {"path", "require", "p-visited-network-id", "p-charging-vector"}
    assert _removed(at_p, at_i) == {"route"}
    assert (_added(at_i, at_s), _removed(at_i, at_s)) == (set(), set())
    unchanged = ("From", "To", "Call-ID", "CSeq", "Contact", "Supported", "Expires", "P-Access-Network-Info")
    _assert_same(at_p, at_i, *unchanged)
    _assert_same(at_i, at_s, *unchanged, "Path", "Authorization", "P-Charging-Vector", "P-Visited-Network-ID")
    (path,) = at_i.request.texts("Path")
    assert path.endswith("@127.0.1.10:5060;transport=tcp;lr;ob>")
    assert at_i.request.text("Require") == "path"
    assert at_i.request.text("P-Visited-Network-ID") == f'"{RED}"'
    vector = at_i.request.text("P-Charging-Vector") or ""
    assert vector.startswith("icid-value=")
    assert "ioi" not in vector
    sent, forwarded = at_p.request.require(Authorization), at_i.request.require(Authorization)
    assert sent.get("integrity-protected") is None
    assert forwarded.get("integrity-protected") == protection
    assert [hop.request.require(MaxForwards).value for hop in (at_p, at_i, at_s)] == [70, 69, 68]
    tags = FeatureSet.of_contact(at_p.request.require(Contact))
    names = [name for name, _ in at_p.request.require(Contact).params]
    assert len(names) == len(set(names)), "one parameter for each kind of tag"
    assert tags.has("+g.3gpp.smsip")


def _check_challenge(wire: Wire, registers: list[Hop], algorithm: str) -> None:
    """Steps 6 to 8: keys go as far as the P-CSCF and no further."""
    answers = [wire.answers(hop)[-1] for hop in registers]
    assert [answer.status for answer in answers] == [401] * 3
    to_ue, _, from_s = (answer.require(WwwAuthenticate) for answer in answers)
    assert from_s.get("algorithm") == algorithm
    assert (from_s.get("ck") is not None, from_s.get("ik") is not None) == (algorithm.startswith("AKA"),) * 2
    assert to_ue.get("ck") is None
    assert to_ue.get("ik") is None
    assert (to_ue.get("nonce"), to_ue.get("realm"), to_ue.get("qop")) == (from_s.get("nonce"), RED, "auth")


def _check_granted(wire: Wire, registers: list[Hop], algorithm: str) -> None:
    """Step 13."""
    to_ue, to_p, to_i = (wire.answers(hop)[-1] for hop in registers)
    assert [answer.status for answer in (to_ue, to_p, to_i)] == [200] * 3
    for answer in (to_ue, to_p, to_i):
        assert answer.text("Service-Route") == "<sip:orig@127.0.1.12:5060;transport=tcp;lr>"
        assert answer.texts("Path") == registers[1].request.texts("Path")
        assert "outbound" in (answer.text("Require") or "")
        contact = answer.require(Contact)
        assert contact.expires == 3600
        assert contact.params.get("pub-gruu") is not None
        assert "rspauth=" in (answer.text("Authentication-Info") or "")
    number = (to_ue.text("To") or "").partition("sip:")[2].partition("@")[0]
    assert to_ue.text("P-Associated-URI") == f"<sip:{number}@{RED}>, <tel:{number}>"
    assert to_ue.top_via.params.get("keep"), "the P-CSCF says how often it wants to hear from the UE (RFC 6223)"


def _check_third_party(wire: Wire, at_s: Hop) -> None:
    """Step 14: both servers get the REGISTER as it came to the S-CSCF, without what proves the user, and the 200."""
    reports = [hop for hop in wire.requests("REGISTER") if hop.target in _SERVERS]
    assert {hop.target for hop in reports} == set(_SERVERS)
    granted = wire.answers(at_s)[-1]
    for hop in reports:
        request = hop.request
        assert request.text("To") == at_s.request.text("To")
        assert request.text("Expires") == "3600"
        assert not hop.names & {"authorization", "route", "path", "service-route"}
        embedded = read_embedded_registration(request)
        assert embedded.answer is not None
        assert embedded.register is not None
        assert embedded.answer.encode() == granted.encode()
        assert embedded.register.encode() == at_s.request.edit().remove("Authorization").done().encode()
        assert [answer.status for answer in wire.answers(hop)] == [200]


def test_19_1_step_15_the_reg_event_follows_the_registration() -> None:
    async def story(wire: Wire) -> None:
        await wire.sim.add_phone("alice", msisdn=ALICE)
        await asyncio.sleep(5)
        subscribes, notifies = wire.requests("SUBSCRIBE"), wire.requests("NOTIFY")
        assert wire.path(subscribes) == ["alice", "red.pcscf", "red.scscf"]
        assert wire.path(notifies) == ["red.scscf", "red.pcscf", "alice"]
        at_p, at_s = subscribes
        assert _added(at_p, at_s) == {"p-asserted-identity", "p-charging-vector", "record-route"}
        assert _removed(at_p, at_s) == {"p-preferred-identity"}
        assert at_s.request.texts("Route") == ("<sip:orig@127.0.1.12:5060;transport=tcp;lr>",)
        assert {answer.status for hop in subscribes for answer in wire.answers(hop)} == {200}
        notify = notifies[-1].request
        assert (notify.text("Event"), notify.text("Content-Type")) == ("reg", "application/reginfo+xml")
        assert (notify.text("Subscription-State") or "").startswith("active;expires=")
        info = RegInfo.parse(notify.body)
        assert (info.version, info.state) == (0, "full")
        assert {each.aor for each in info.registrations} == {f"sip:{ALICE}@{RED}", f"tel:{ALICE}"}
        assert notifies[0].request.body == notify.body

    play(story)


def test_a_de_registration_reaches_the_servers_and_ends_the_reg_event() -> None:
    async def story(wire: Wire) -> None:
        alice, _ = await _phones(wire)
        await alice.power_off()
        await asyncio.sleep(5)
        registers = [hop for hop in wire.requests("REGISTER") if hop.target not in _SERVERS]
        assert [hop.target for hop in registers] == ["red.pcscf", "red.icscf", "red.scscf"]
        assert registers[1].request.require(Authorization).get("integrity-protected") == "ip-assoc-yes"
        assert wire.answers(registers[0])[-1].texts("Contact") == ()
        reports = [hop for hop in wire.requests("REGISTER") if hop.target in _SERVERS]
        assert {(hop.target, hop.request.text("Expires")) for hop in reports} == {(server, "0") for server in _SERVERS}
        states = [hop.request.text("Subscription-State") or "" for hop in wire.requests("NOTIFY")]
        assert all(state.startswith("terminated") for state in states)

    play(story)


# --- §19.2 -----------------------------------------------------------------------------------------------------------

_RED_TO_BLUE = [
    *("alice", "red.pcscf", "red.scscf", "red.messaging_server", "red.scscf", "red.ibcf", "blue.ibcf", "blue.icscf"),
    *("blue.scscf", "blue.messaging_server", "blue.scscf", "blue.pcscf", "bob"),
]
_BLUE_TO_RED = [
    *("bob", "blue.pcscf", "blue.scscf", "blue.messaging_server", "blue.scscf", "blue.ibcf", "red.ibcf", "red.icscf"),
    *("red.scscf", "red.messaging_server", "red.scscf", "red.pcscf", "alice"),
]


def test_19_2_a_pager_message_and_its_two_receipts() -> None:
    async def story(wire: Wire) -> None:
        alice, bob = await _phones(wire)
        message = await alice.chat(BOB).send("hello there")
        await message.delivered(within_s=5)
        await asyncio.sleep(5)
        hops = wire.requests("MESSAGE", "hello there")
        assert wire.path(hops) == _RED_TO_BLUE
        _check_pager_path(hops, ALICE, BOB, RED, BLUE, f"{ICSI}.msg")
        for hop in hops:
            assert [answer.status for answer in wire.answers(hop)] == [200]
        delivered = wire.requests("MESSAGE", "<delivered/>")
        assert wire.path(delivered) == _BLUE_TO_RED
        _check_pager_path(delivered, BOB, ALICE, BLUE, RED, f"{ICSI}.msg")
        _check_receipt(hops[0], delivered)
        wire.forget()
        bob.chat(ALICE).read()
        await message.displayed(within_s=10)
        displayed = wire.requests("MESSAGE", "<displayed/>")
        assert wire.path(displayed) == _BLUE_TO_RED
        _check_receipt(hops[0], displayed)

    play(story)


def _check_pager_path(hops: list[Hop], sender: str, receiver: str, home: str, away: str, icsi: str) -> None:
    """Steps 1 to 11, and 13 to 14 the other way round."""
    (ue, p, s_in, s_out, border, ici, i_in, s_term, as_in, as_out, to_p, to_ue) = (
        hops[0],
        hops[1],
        hops[2],
        hops[3],
        hops[4],
        hops[5],
        hops[6],
        hops[7],
        hops[8],
        hops[9],
        hops[10],
        hops[11],
    )
    sip, tel = f"<sip:{sender}@{home}>", f"<tel:{sender}>"
    assert ue.request.request_uri_text == f"tel:{receiver}"
    assert ue.request.text("P-Preferred-Identity") == sip
    assert ue.request.text("P-Preferred-Service") == icsi
    assert "+g.3gpp.icsi-ref=" in (ue.request.text("Accept-Contact") or "")
    assert not ue.names & {"contact", "p-asserted-identity", "p-asserted-service"}
    # 2: P-CSCF
    assert _added(ue, p) == {"p-asserted-identity", "p-charging-vector"}
    assert _removed(ue, p) == {"p-preferred-identity"}
    assert p.request.texts("P-Asserted-Identity") == (sip,)
    assert len(p.request.texts("Route")) == 1
    # 3: S-CSCF to the messaging server
    assert _added(p, s_in) == {"p-asserted-service", "p-served-user"}
    assert _removed(p, s_in) == {"p-preferred-service"}
    assert s_in.request.texts("P-Asserted-Identity") == (sip, tel)
    assert s_in.request.text("P-Asserted-Service") == icsi
    assert (s_in.request.text("P-Served-User") or "").startswith(f"{sip};sescase=orig;regstate=reg")
    first, second = s_in.request.texts("Route")
    assert first == f"<sip:rcsas.{home};lr>"
    assert second.startswith("<sip:odi-")
    # 4: messaging server: a new Call-ID, a single Via, the way back
    assert s_out.request.call_id != s_in.request.call_id
    assert s_out.request.texts("Route") == (second,)
    assert len(s_out.request.get_all(Via)) == 1
    assert not s_out.names & {"p-served-user"}
    # 5: number table
    assert border.request.request_uri_text == f"sip:{receiver}@{away};user=phone"
    assert border.request.texts("Route") == (f"<sip:ibcf.{home};lr>",)
    # 6: border: digest §17.1
    assert (ici.request.text("P-Charging-Vector") or "").endswith(f";orig-ioi={home}")
    assert _added(border, ici) == set()
    assert _removed(border, ici) == {"route", "p-access-network-info"}
    kept = ("From", "To", "Call-ID", "CSeq", "Conversation-ID", "Contribution-ID", "Accept-Contact", "Content-Type")
    _assert_same(border, ici, *kept, "P-Asserted-Identity", "P-Asserted-Service", "User-Agent")
    # 7: I-CSCF leads to the S-CSCF
    assert (_added(ici, i_in), _removed(ici, i_in)) == (set(), set())
    assert s_term.request.texts("Route") == (f"<sip:scscf.{away};lr>",)
    assert s_term.request.request_uri_text == border.request.request_uri_text
    # 8, 9: terminating service
    assert "sescase=term;regstate=reg" in (as_in.request.text("P-Served-User") or "")
    assert as_out.request.call_id != as_in.request.call_id
    assert f"{receiver}@{away};gr=urn:" in as_out.request.request_uri_text
    # 10, 11: to the device
    assert (to_p.request.text("P-Called-Party-ID") or "") == f"<tel:{receiver}>"
    assert len(to_p.request.texts("Route")) == 1
    assert _removed(to_p, to_ue) == {"route", "p-charging-vector"}
    assert _added(to_p, to_ue) == set()
    # end to end
    for name in ("From", "To", "Conversation-ID", "Contribution-ID", "Content-Type"):
        _assert_same(ue, to_ue, name)
    assert {hop.request.body for hop in hops} == {ue.request.body}, "CPIM is the sender's, octet for octet"
    forwards = [hop.request.require(MaxForwards).value for hop in hops]
    assert forwards == list(range(70, 70 - len(hops), -1))


def _check_receipt(message: Hop, receipt: list[Hop]) -> None:
    """Step 13: an IMDN in CPIM with a Message-ID of its own, about the message, in the same thread."""
    sent, given = CpimMessage.parse(message.request.body), CpimMessage.parse(receipt[-1].request.body)
    imdn = Imdn.parse(given.body)
    assert given.content_type.essence == "message/imdn+xml"
    assert imdn.message_id == sent.message_id
    assert given.message_id not in ("", sent.message_id)
    for name in ("Conversation-ID", "Contribution-ID"):
        _assert_same(message, receipt[0], name)


def test_capabilities_are_asked_along_the_same_path_and_answered_with_tags() -> None:
    async def story(wire: Wire) -> None:
        await wire.sim.add_phone("bob", "ios", "blue", msisdn=BOB)
        alice = await wire.sim.add_phone("alice", msisdn=ALICE)
        await asyncio.sleep(5)
        wire.forget()
        await (await alice.chat(BOB).send("hi")).delivered(within_s=10)
        hops = wire.requests("OPTIONS")[:12]
        assert wire.path(hops) == _RED_TO_BLUE
        (answer,) = wire.answers(hops[0])
        assert answer.status == 200
        assert FeatureSet.of_contact(answer.require(Contact)).has("+g.3gpp.icsi-ref")
        assert answer.text("P-Asserted-Identity") == f"<sip:{BOB}@{BLUE}>"
        (from_bob,) = wire.answers(hops[-1])
        assert from_bob.has("P-Preferred-Identity")
        (from_p,) = wire.answers(hops[-2])
        assert not from_p.has("P-Preferred-Identity")
        assert from_p.has("P-Asserted-Identity")
        (across,) = wire.answers(hops[5])
        assert (across.text("P-Charging-Vector") or "").endswith(f";term-ioi={BLUE}")

    play(story)


def test_within_one_carrier_a_ue_learns_no_more_of_another_than_its_identity() -> None:
    async def story(wire: Wire) -> None:
        alice = await wire.sim.add_phone("alice", msisdn=ALICE)
        await wire.sim.add_phone("bob", msisdn="+12025550102")
        message = await alice.chat("+12025550102").send("next door")
        await message.delivered(within_s=10)
        hops = wire.requests("MESSAGE", "next door")
        assert wire.path(hops) == [
            *("alice", "red.pcscf", "red.scscf", "red.messaging_server", "red.scscf", "red.messaging_server"),
            *("red.scscf", "red.pcscf", "bob"),
        ]
        assert hops[-2].message.has("P-Access-Network-Info")
        assert not hops[-1].message.has("P-Access-Network-Info"), (
            "the cell of a user is nobody's business (RFC 7315 §5.4)"
        )

    play(story)


# --- §19.4 -----------------------------------------------------------------------------------------------------------


def test_19_4_what_waits_comes_in_order_after_the_next_registration() -> None:
    async def story(wire: Wire) -> None:
        alice, bob = await _phones(wire)
        await bob.power_off()
        await asyncio.sleep(10)
        wire.forget()
        messages = [alice.chat(BOB).send(f"waiting {number}") for number in range(3)]
        for message in messages:
            await message.sent(within_s=10)
        sent = [wire.requests("MESSAGE", f"waiting {number}") for number in range(3)]
        for hops in sent:
            assert wire.path(hops) == _RED_TO_BLUE[:10]
            assert "sescase=term;regstate=unreg" in (hops[-1].request.text("P-Served-User") or "")
            assert {answer.status for hop in hops for answer in wire.answers(hop)} == {202}
        assert {message.state for message in messages} == {MessageState.SENT}
        wire.forget()
        await bob.power_on()
        for message in messages:
            await message.delivered(within_s=30)
        arrivals = [hop.request for hop in wire.requests("MESSAGE", "waiting ") if hop.target == "bob"]
        assert [request.body for request in arrivals] == [hops[0].request.body for hops in sent]
        own = [hop for hop in wire.requests("MESSAGE", "waiting 0")]
        assert wire.path(own) == ["blue.messaging_server", "blue.scscf", "blue.pcscf", "bob"]
        assert own[0].request.text("Route") == f"<sip:term@scscf.{BLUE};lr>"
        assert f"<sip:{ALICE}@{RED}>" in own[0].request.texts("P-Asserted-Identity")
        assert own[0].request.text("P-Asserted-Service") == f"{ICSI}.msg"
        for name in ("Conversation-ID", "Contribution-ID"):
            _assert_same(sent[0][0], own[0], name)

    play(story)


# --- §19.7 -----------------------------------------------------------------------------------------------------------


def test_19_7_a_message_is_taken_back_and_goes_as_sms() -> None:
    async def story(wire: Wire) -> None:
        alice, bob = await _phones(wire)
        await bob.power_off()
        await asyncio.sleep(10)
        wire.forget()
        message = await alice.chat(BOB).send("take me back")
        await asyncio.sleep(60)
        asked = [hop for hop in wire.requests("MESSAGE", "rcsrevoke") if hop.request.text("To") == f"<tel:{BOB}>"]
        assert wire.path(asked) == _RED_TO_BLUE[:10], "it never reaches a UE"
        assert asked[0].request.text("P-Preferred-Service") == f"{ICSI}.systemmsg"
        assert {hop.request.body for hop in asked} == {asked[0].request.body}
        answered = [hop for hop in wire.requests("MESSAGE", "rcsrevoke") if hop not in asked]
        assert wire.path(answered) == [
            *("blue.messaging_server", "blue.scscf", "blue.messaging_server", "blue.scscf", "blue.ibcf", "red.ibcf"),
            *("red.icscf", "red.scscf", "red.messaging_server", "red.scscf", "red.pcscf", "alice"),
        ]
        assert b"success" in answered[-1].request.body
        assert message.transport is MessageTransport.SMS
        wire.forget()
        await bob.power_on()
        await asyncio.sleep(60)
        assert wire.requests("MESSAGE", "take me back") == []
        assert [each.text for each in bob.chat(ALICE).messages].count("take me back") == 1

    play(story)


# --- §19.9 -----------------------------------------------------------------------------------------------------------


def test_19_9_a_short_message_with_its_report() -> None:
    async def story(wire: Wire) -> None:
        alice, _ = await _phones(wire)
        message = alice.send_sms(BOB, "short")
        await message.delivered(within_s=30)
        await asyncio.sleep(10)
        messages = [hop for hop in wire.requests("MESSAGE") if hop.request.text("Content-Type") == SMS]
        assert not [hop for hop in messages if "ibcf" in hop.source + hop.target], "across, SMSC to SMSC"
        up = _of_call(messages, messages[0])
        assert wire.path(up) == ["alice", "red.pcscf", "red.scscf", "red.ipsmgw"]
        assert up[0].request.request_uri_text == "tel:+12025550199"
        assert {answer.status for hop in up for answer in wire.answers(hop)} == {202}
        submitted = _rp(up[0])
        accepted = _to(messages, "alice")[0]
        assert isinstance(submitted, RpData)
        ack = _rp(accepted)
        assert isinstance(ack, RpAck)
        assert ack.reference == submitted.reference
        _check_terminating_sms(accepted, f"<sip:ipsmgw.{RED}>")
        assert accepted.request.text("In-Reply-To") == up[0].request.call_id
        delivery = _to(messages, "bob")[0]
        _check_terminating_sms(delivery, f"<sip:ipsmgw.{BLUE}>")
        assert wire.path(_of_call(messages, delivery)) == ["blue.ipsmgw", "blue.scscf", "blue.pcscf", "bob"]
        data = _rp(delivery)
        assert isinstance(data, RpData)
        confirmed = next(hop for hop in messages if hop.source == "bob")
        assert wire.path(_of_call(messages, confirmed)) == ["bob", "blue.pcscf", "blue.scscf", "blue.ipsmgw"]
        assert confirmed.request.request_uri_text == f"sip:ipsmgw.{BLUE}"
        assert confirmed.request.text("In-Reply-To") == delivery.request.call_id
        taken = _rp(confirmed)
        assert isinstance(taken, RpAck)
        assert taken.reference == data.reference
        report = _to(messages, "alice")[1]
        _check_terminating_sms(report, f"<sip:ipsmgw.{RED}>")
        assert isinstance(_rp(report), RpData)
        last = [hop for hop in messages if hop.source == "alice"][-1]
        assert last.request.text("In-Reply-To") == report.request.call_id

    play(story)


def _check_terminating_sms(hop: Hop, gateway: str) -> None:
    assert hop.request.texts("P-Asserted-Identity") == (gateway,)
    accepts = (hop.request.text("Accept-Contact") or "").replace(" ", "")
    assert accepts == "*;+g.3gpp.smsip;require;explicit"
    assert hop.request.text("Request-Disposition") == "no-fork"


def _of_call(hops: list[Hop], one: Hop) -> list[Hop]:
    return [hop for hop in hops if hop.request.call_id == one.request.call_id]


def _to(hops: list[Hop], phone: str) -> list[Hop]:
    return [hop for hop in hops if hop.target == phone]


def _rp(hop: Hop) -> object:
    return parse_rpdu(hop.request.body)
