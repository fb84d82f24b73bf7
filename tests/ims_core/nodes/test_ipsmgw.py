"""The IP-SM-GW between its service centre and a core that stands for S-CSCF and phones, on in-memory links."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from ims_core.errors import TransportError
from ims_core.nodes.ipsmgw import IpSmGw, IpSmGwConfig
from ims_core.nodes.smsc import Smsc, SmscConfig
from ims_core.nodes.third_party_register import third_party_register
from ims_core.store.memory import MemoryStore
from ims_core.store.short_messages import SHORT_MESSAGES
from ims_core.trace import RecordKind, Trace, TraceRecord
from ims_core.transport.link import Address, Flow, Transport
from ims_core.transport.memory import MemoryNetwork
from ims_core.transport.sip_stack import Hop, NameTable, Outcome, ServerTransaction, SipStack, StackConfig
from ims_core.transport.tokens import Tokens
from ims_core.transport.virtual_loop import VirtualClock, run
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sms.rpdu import RpAck, RpData, RpError, parse_rpdu
from ims_core.wire.sms.tpdu import SmsDeliver, SmsStatusReport, parse_tpdu_to_ms
from tests.support.flows import Recorder
from tests.support.short_messages import ALICE, CAROL, Directory, rp_ack, rp_submit, smsc_of

_CORE, _GATEWAY, _SMSC = (
    Address(Transport.TCP, "127.0.1.12", 5060),
    Address(Transport.TCP, "127.0.1.30", 5060),
    Address(Transport.TCP, "127.0.1.31", 2775),
)
_SMS = "application/vnd.3gpp.sms"


class _List:
    def __init__(self) -> None:
        self.records: list[TraceRecord] = []

    def write(self, record: TraceRecord) -> None:
        self.records.append(record)

    def close(self) -> None:
        self.records = []


class _Phones:
    """S-CSCF and every phone behind it: answers MESSAGE 200 (480 for who is away) and sends RP-ACK."""

    def __init__(self, network: MemoryNetwork, clock: VirtualClock, trace: Trace, names: NameTable) -> None:
        config = StackConfig(name="red.scscf", listen=(_CORE,))
        self.stack = SipStack(
            config, self, network=network, clock=clock, tokens=Tokens("phones"), trace=trace, names=names
        )
        self.away: set[str] = set()
        self.is_silent = False
        self.texts: list[tuple[str, str]] = []
        self.statuses: list[int] = []
        self.answers: list[tuple[RpAck | RpError, str]] = []
        self.replies: list[int] = []
        self._number = 0

    def request_received(self, request: Request, server: ServerTransaction | None, flow: Flow) -> None:
        assert server is not None
        number = "+" + request.request_uri_text.split("+")[1].partition("@")[0]
        if number in self.away:
            self.stack.reply(server, 480)
            return
        self.stack.reply(server, 200)
        rpdu = parse_rpdu(request.body)
        if isinstance(rpdu, RpAck | RpError):
            self.answers.append((rpdu, request.text("In-Reply-To") or ""))
        elif isinstance(rpdu, RpData):
            self._deliver(number, rpdu, request)

    def _deliver(self, number: str, rpdu: RpData, request: Request) -> None:
        tpdu = parse_tpdu_to_ms(rpdu.user_data)
        if isinstance(tpdu, SmsDeliver):
            self.texts.append((number, tpdu.text))
        elif isinstance(tpdu, SmsStatusReport):
            self.statuses.append(tpdu.status)
        if not self.is_silent:
            self.send(number, rp_ack(rpdu.reference), in_reply_to=request.call_id)

    def send(self, number: str, body: bytes, *, in_reply_to: str = "", content_type: str = _SMS) -> str:
        """A MESSAGE of a phone to the gateway; its Call-ID."""
        self._number += 1
        call_id = f"c{self._number}@192.0.2.11"
        headers = [
            ("Max-Forwards", "70"),
            ("From", f"<tel:{number}>;tag=a"),
            ("To", "<tel:+12025550199>"),
            ("Call-ID", call_id),
            ("CSeq", "1 MESSAGE"),
            ("P-Asserted-Identity", f"<tel:{number}>"),
        ]
        if in_reply_to:
            headers.append(("In-Reply-To", in_reply_to))
        request = Request.new("MESSAGE", "tel:+12025550199", headers, body, content_type)
        self.stack.send_request(request, Hop(_GATEWAY), self._replied)
        return call_id

    def register(self, number: str, expires_s: int) -> None:
        request = third_party_register(
            "sip:ipsmgw.red",
            scscf_uri="sip:scscf.red",
            impu=f"tel:{number}",
            expires_s=expires_s,
            call_id=f"tp{number}",
            cseq=1,
            tag="t",
        )
        self.stack.send_request(request, Hop(_GATEWAY), self._replied)

    def _replied(self, outcome: Outcome) -> None:
        if isinstance(outcome, Response):
            self.replies.append(outcome.status)

    def stray_response(self, response: Response, flow: Flow) -> None: ...

    def flow_closed(self, flow: Flow, error: TransportError | None) -> None: ...

    def keep_alive(self, flow: Flow, pong: bool) -> None: ...


class _World:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.network = MemoryNetwork(self.clock, Tokens("seed"))
        self.trace = Trace()
        self.sink = _List()
        self.trace.add_sink(self.sink)
        names = NameTable()
        names.add("scscf.red", _CORE)
        self.phones = _Phones(self.network, self.clock, self.trace, names)
        self.directory = Directory(ALICE, CAROL)
        self.store = MemoryStore()
        self.smsc = self.new_smsc()
        self.gateway = IpSmGw(
            IpSmGwConfig(
                name="red.ipsmgw",
                uri="sip:ipsmgw.red",
                listen=(_GATEWAY,),
                smsc=_SMSC,
                route=("<sip:scscf.red;lr>",),
                trusted_hosts=frozenset({_CORE.host}),
            ),
            network=self.network,
            clock=self.clock,
            tokens=Tokens("gateway"),
            trace=self.trace,
            names=names,
            sh=self.directory,
        )

    def new_smsc(self) -> Smsc:
        return Smsc(
            SmscConfig(name="red.smsc", address="+12025550199", listen=_SMSC, trusted_hosts=frozenset({_GATEWAY.host})),
            network=self.network,
            clock=self.clock,
            trace=self.trace,
            store=self.store,
            sh=self.directory,
            smsc_of=smsc_of,
        )

    async def __aenter__(self) -> _World:
        await self.phones.stack.start()
        await self.smsc.start()
        await self.gateway.start()
        await asyncio.sleep(1)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.gateway.close()
        await self.smsc.close()
        await self.phones.stack.close()

    async def stored(self) -> int:
        return len(await self.store.table(SHORT_MESSAGES).load_all())


def _play(story: Callable[[_World], Awaitable[None]]) -> None:
    async def main() -> None:
        async with _World() as world:
            await story(world)

    run(main)


def test_a_text_goes_by_ip_and_its_report_comes_back() -> None:
    async def story(world: _World) -> None:
        phones = world.phones
        call_id = phones.send(ALICE, rp_submit("hello", CAROL, status_report=True))
        await asyncio.sleep(1)
        assert phones.texts == [(CAROL, "hello")]
        ((ack, in_reply_to),) = phones.answers
        assert isinstance(ack, RpAck)
        assert in_reply_to == call_id
        assert phones.statuses == [0]
        assert phones.replies == [202, 200, 200]
        assert await world.stored() == 0
        assert world.gateway.core.open_transfers == (0, 0)

    _play(story)


def test_an_absent_phone_gets_its_text_when_it_registers() -> None:
    async def story(world: _World) -> None:
        phones = world.phones
        phones.away.add(CAROL)
        phones.send(ALICE, rp_submit("later", CAROL))
        await asyncio.sleep(1)
        assert isinstance(phones.answers[0][0], RpAck)
        assert await world.stored() == 1
        phones.away.clear()
        phones.register(CAROL, 600)
        await asyncio.sleep(1)
        assert phones.texts == [(CAROL, "later")]
        assert await world.stored() == 0

    _play(story)


def test_a_phone_that_answers_nothing_is_asked_again_after_tr1n_and_the_retry_time() -> None:
    async def story(world: _World) -> None:
        phones = world.phones
        phones.is_silent = True
        phones.send(ALICE, rp_submit("anybody?", CAROL))
        await asyncio.sleep(99)
        assert len(phones.texts) == 1
        phones.is_silent = False
        await asyncio.sleep(2)
        assert len(phones.texts) == 2
        assert await world.stored() == 0

    _play(story)


def test_the_link_to_the_smsc_comes_back_by_itself() -> None:
    async def story(world: _World) -> None:
        await world.smsc.close()
        await asyncio.sleep(1)
        world.phones.send(ALICE, rp_submit("x", CAROL))
        await asyncio.sleep(1)
        answer = world.phones.answers[0][0]
        assert isinstance(answer, RpError)
        assert answer.cause == 38
        world.smsc = world.new_smsc()
        await world.smsc.start()
        await asyncio.sleep(20)
        world.phones.send(ALICE, rp_submit("y", CAROL))
        await asyncio.sleep(1)
        assert world.phones.texts == [(CAROL, "y")]

    _play(story)


def test_a_submission_survives_a_restart_of_the_smsc() -> None:
    async def story(world: _World) -> None:
        world.phones.away.add(CAROL)
        world.phones.send(ALICE, rp_submit("durable", CAROL))
        await asyncio.sleep(1)
        await world.smsc.close()
        world.phones.away.clear()
        world.smsc = world.new_smsc()
        await world.smsc.start()
        await asyncio.sleep(20)
        assert world.phones.texts == [(CAROL, "durable")]

    _play(story)


def test_what_is_no_short_message_is_refused_and_rubbish_is_answered() -> None:
    async def story(world: _World) -> None:
        phones = world.phones
        phones.send(ALICE, b"x", content_type="message/cpim")
        phones.send(ALICE, b"\xff\x09\xff")
        phones.send(ALICE, b"")
        phones.send(ALICE, rp_submit("still alive", CAROL))
        await asyncio.sleep(1)
        assert phones.replies[:4] == [415, 202, 202, 202]
        causes = [answer.cause for answer, _ in phones.answers if isinstance(answer, RpError)]
        assert causes == [111, 111]
        assert phones.texts == [(CAROL, "still alive")]
        assert not [record for record in world.sink.records if record.kind is RecordKind.ERROR]

    _play(story)


def test_an_smsc_that_accepts_the_connection_but_not_the_link_is_dialled_again() -> None:
    async def story(world: _World) -> None:
        await world.smsc.close()
        mute = Recorder("mute")
        listener = await world.network.listen(_SMSC, mute)
        await asyncio.sleep(40)
        assert len(mute.flows) > 1
        assert sum(flow.is_open for flow in mute.flows) == 1
        await listener.close()

    _play(story)
