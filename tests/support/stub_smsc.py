"""A service centre in one element, for tests of phones: circuit-switched links, and SMS over IP by the stub core."""

from __future__ import annotations

from collections import deque

from ims_core.errors import TransportError
from ims_core.transport.link import Address, Transport
from ims_core.transport.sip_stack import ServerTransaction
from ims_core.transport.sm_link import SmLink, SmLinkEndpoint
from ims_core.wire.sip.headers import From
from ims_core.wire.sip.message import Request
from ims_core.wire.sms.address import Address as SmsAddress
from ims_core.wire.sms.data_coding import DataCoding
from ims_core.wire.sms.rpdu import Direction, RpAck, RpData, Rpdu, RpError, RpSmma, parse_rpdu
from ims_core.wire.sms.sm_link import Accepted, Attach, Forward, ForwardKind, Result, SmLinkMessage
from ims_core.wire.sms.timestamp import Timestamp
from ims_core.wire.sms.tpdu import SmsDeliver, SmsStatusReport, SmsSubmit, parse_tpdu_from_ms
from ims_core.wire.sms.user_data import UserData
from rcs_sim.client.identity import contact_key
from tests.support.stub_core import HOME, World

__all__ = ["SMSC_ADDRESS", "SMSC_NUMBER", "StubSmsc"]

SMSC_ADDRESS = Address(Transport.TCP, "127.0.1.31", 2775)
SMSC_NUMBER = "+12025550199"
_SMS = "application/vnd.3gpp.sms"


class StubSmsc:
    """`submits` are the SMS-SUBMITs it took; `causes` the RP causes to refuse the next ones with. What is for a phone
    goes over IP if *by_ip*, else over its circuit-switched link, else it is lost."""

    def __init__(self, world: World, *, by_ip: bool = False) -> None:
        self.world = world
        self.by_ip = by_ip
        self.endpoint = SmLinkEndpoint("red.smsc", self, network=world.network, clock=world.clock, trace=world.trace)
        self.links: dict[str, SmLink] = {}
        self.submits: list[SmsSubmit] = []
        self.causes: deque[int] = deque()
        self.answers: list[Rpdu] = []
        self.is_mute = False
        self._reference = 0
        world.core.sms = self

    async def start(self) -> None:
        await self.endpoint.listen(SMSC_ADDRESS)

    async def close(self) -> None:
        await self.endpoint.close()

    # --- circuit-switched --------------------------------------------------------------------------------------------

    def link_opened(self, link: SmLink) -> None: ...

    def link_closed(self, link: SmLink, error: TransportError | None) -> None:
        self.links = {number: each for number, each in self.links.items() if each is not link}

    def frame_received(self, link: SmLink, message: SmLinkMessage) -> None:
        match message:
            case Attach():
                number = f"+1{message.imsi[-10:]}"
                self.links[number] = link
                link.user = number
                link.send(Accepted(message.reference, number))
            case Forward():
                answer = self._take(parse_rpdu(message.rpdu), str(link.user))
                if answer is not None:
                    link.send(Result(message.reference, answer))
            case Result():
                self.answers.append(parse_rpdu(message.rpdu))

    # --- over IP -----------------------------------------------------------------------------------------------------

    def received_by_ip(self, request: Request, server: ServerTransaction) -> None:
        core = self.world.core
        sender = contact_key(request.require(From).uri)
        core.stack.reply(server, 202)
        rpdu = parse_rpdu(request.body)
        if isinstance(rpdu, RpAck | RpError):
            self.answers.append(rpdu)
            return
        answer = self._take(rpdu, sender)
        if answer is not None:
            core.send(sender, core.message(f"sip:ipsmgw.{HOME}", answer, _SMS, ("In-Reply-To", request.call_id)))

    # --- service -----------------------------------------------------------------------------------------------------

    def _take(self, rpdu: Rpdu, sender: str) -> bytes | None:
        if self.is_mute:
            return None
        if isinstance(rpdu, RpSmma):
            self.answers.append(rpdu)
            return RpAck(Direction.TO_MS, rpdu.reference).encode()
        assert isinstance(rpdu, RpData)
        if self.causes:
            return RpError(Direction.TO_MS, rpdu.reference, self.causes.popleft()).encode()
        submit = parse_tpdu_from_ms(rpdu.user_data)
        assert isinstance(submit, SmsSubmit)
        self.submits.append(submit)
        now = Timestamp.at(self.world.clock.now())
        deliver = SmsDeliver(
            originator=SmsAddress.international(sender),
            timestamp=now,
            user_data=submit.user_data,
            data_coding=submit.data_coding,
        )
        if self.send(str(submit.destination), deliver.encode()) and submit.status_report_request:
            report = SmsStatusReport(
                message_reference=submit.message_reference,
                recipient=submit.destination,
                timestamp=now,
                discharge_time=now,
                status=0,
            )
            self.send(sender, report.encode())
        return RpAck(Direction.TO_MS, rpdu.reference).encode()

    def send(self, number: str, tpdu: bytes) -> bool:
        """A TPDU to a phone."""
        self._reference = (self._reference + 1) % 256
        octets = RpData(Direction.TO_MS, self._reference, SmsAddress.international(SMSC_NUMBER), tpdu).encode()
        core = self.world.core
        if self.by_ip and number in core.bindings:
            headers = (("Accept-Contact", "*;+g.3gpp.smsip;require;explicit"), ("Request-Disposition", "no-fork"))
            core.send(number, core.message(f"sip:ipsmgw.{HOME}", octets, _SMS, *headers))
            return True
        link = self.links.get(number)
        if link is None:
            return False
        link.send(Forward(reference=self._reference, kind=ForwardKind.MT, rpdu=octets))
        return True

    def text(self, number: str, sender: str, text: str) -> None:
        """A text to a phone."""
        deliver = SmsDeliver(
            originator=SmsAddress.international(sender) if sender.startswith("+") else SmsAddress.alphanumeric(sender),
            timestamp=Timestamp.at(self.world.clock.now()),
            user_data=UserData.of_text(text, DataCoding.GSM7),
        )
        self.send(number, deliver.encode())
