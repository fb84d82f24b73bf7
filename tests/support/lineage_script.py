"""A LineageOS-like phone as a script: it writes exactly the octets of such a client and forgives nothing."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from ims_core.wire.sip.headers import WwwAuthenticate
from ims_core.wire.sip.message import Request, Response
from tests.support.raw_phone import RawPhone, RawSubscriber, raw_phone

__all__ = [
    "CPM_MESSAGE",
    "CPM_SESSION",
    "LineageLab",
    "LineageScript",
    "cpim_text",
    "imdn_text",
    "lineage_script",
    "new_ids",
    "read_cpim",
    "read_cpim_octets",
]

CPM_MESSAGE = "urn:urn-7:3gpp-service.ims.icsi.oma.cpm.msg"
CPM_SESSION = "urn:urn-7:3gpp-service.ims.icsi.oma.cpm.session"
_STATUS = {"delivery": "delivered", "display": "displayed"}


@dataclass(frozen=True, slots=True)
class LineageLab:
    """`rcs-sim up` with its standard ports, and two numbers of red that no other test uses."""

    red: dict[str, Any]
    ours: str
    theirs: str

    @property
    def domain(self) -> str:
        return str(self.red["domain"])

    def subscriber(self) -> RawSubscriber:
        return RawSubscriber.of(self.red, f"sip:{self.ours}@")


class LineageScript:
    """What such a phone writes, line for line."""

    def __init__(self, raw: RawPhone, subscriber: RawSubscriber) -> None:
        self.raw = raw
        self.subscriber = subscriber
        self.nonce = ""
        self.closes_with: list[Callable[[], None]] = []
        self._cseq = itertools.count(1)

    @property
    def contact(self) -> str:
        return f"<sip:{self.subscriber.impi.partition('@')[0]}@{self.raw.own};transport=tcp>"

    async def register(self) -> tuple[Response, Response]:
        """The 401 and the 200. The Call-ID stays, the From tag does not; ``opaque`` is not echoed."""
        call_id = f"{uuid4()}"
        self._write_register(call_id, self._empty_authorization())
        challenge = await self.raw.response(401, "REGISTER")
        self.nonce = challenge.require(WwwAuthenticate).get("nonce") or ""
        self._write_register(call_id, self._authorization(1))
        return challenge, await self.raw.response(200, "REGISTER")

    async def refresh(self) -> Response:
        """The nonce of the last challenge once more, with nc=2."""
        self._write_register(f"{uuid4()}", self._authorization(2))
        return await self.raw.response(200, "REGISTER")

    def deregister(self) -> None:
        """New Call-ID, bare Contact, the old nonce with nc=2; it does not wait for the answer."""
        self._write_register(f"{uuid4()}", self._authorization(2), tags="", expires=0)
        self.raw.close()

    async def leave(self) -> None:
        """De-registers, and waits for the answer."""
        self._write_register(f"{uuid4()}", self._authorization(3), tags="", expires=0)
        await self.raw.final("REGISTER")

    def _empty_authorization(self) -> str:
        user, domain = self.subscriber.impi, self.subscriber.domain
        return f'Digest username="{user}", realm="{domain}", uri="sip:{domain}", nonce="", response=""'

    def _authorization(self, nonce_count: int) -> str:
        return self.subscriber.authorization("REGISTER", f"sip:{self.subscriber.domain}", self.nonce, nonce_count)

    def _write_register(
        self, call_id: str, authorization: str, *, tags: str | None = None, expires: int = 3600
    ) -> None:
        subscriber, raw = self.subscriber, self.raw
        if tags is None:
            services = ",".join(urn.replace(":", "%3A") for urn in (CPM_MESSAGE, CPM_SESSION))
            tags = f';+g.3gpp.icsi-ref="{services}";+g.gsma.rcs.msgrevoke'
        raw.send(
            f"""REGISTER sip:{subscriber.domain} SIP/2.0
            Via: SIP/2.0/TCP {raw.own};branch={raw.branch()};rport
            Max-Forwards: 70
            From: <{subscriber.impu}>;tag={uuid4().hex[:10]}
            To: <{subscriber.impu}>
            Call-ID: {call_id}
            CSeq: {next(self._cseq)} REGISTER
            Contact: {self.contact}{tags};expires={expires}
            Authorization: {authorization}
            Supported: path
            User-Agent: IM-client/OMA1.0 Linl/RCS-1.0"""
        )

    def message(self, target: str, body: str, *, headers: str = "") -> str:
        """A MESSAGE without Route, along the registered connection; its Call-ID."""
        subscriber, raw, call_id = self.subscriber, self.raw, f"{uuid4()}"
        raw.send(
            f"""MESSAGE {target} SIP/2.0
            Via: SIP/2.0/TCP {raw.own};branch={raw.branch()};rport
            Max-Forwards: 70
            From: <{subscriber.impu}>;tag={uuid4().hex[:10]}
            To: <{target}>
            Call-ID: {call_id}
            CSeq: {next(self._cseq)} MESSAGE
            P-Preferred-Identity: <{subscriber.impu}>
            P-Preferred-Service: {CPM_MESSAGE}
            Accept-Contact: *;+g.3gpp.icsi-ref="{CPM_MESSAGE}";require;explicit{headers}
            Content-Type: message/cpim""",
            body,
        )
        return call_id

    def text(self, target: str, text: str, message_id: str) -> str:
        """A text that asks for both receipts; its Call-ID."""
        return self.message(target, cpim_text(self.subscriber.impu, target, text, message_id), headers=new_ids())

    def receipt(self, cpim: dict[str, str], kind: str) -> None:
        """Goes to what the CPIM From of the message says, and nowhere else."""
        target = cpim["From"].strip("<>")
        body = f"""From: <{self.subscriber.impu}>
To: <{target}>
NS: imdn <urn:ietf:params:imdn>
imdn.Message-ID: {uuid4()}
DateTime: 2026-03-02T10:15:00.000Z

Content-Type: message/imdn+xml
Content-Disposition: notification

{imdn_text(cpim["imdn.Message-ID"], kind)}"""
        self.message(target, body, headers=new_ids())


def imdn_text(message_id: str, kind: str) -> str:
    return (
        '<?xml version="1.0" encoding="UTF-8"?><imdn xmlns="urn:ietf:params:xml:ns:imdn">'
        f"<message-id>{message_id}</message-id><datetime>2026-03-02T10:15:00.000Z</datetime>"
        f"<{kind}-notification><status><{_STATUS[kind]}/></status></{kind}-notification></imdn>"
    )


def new_ids() -> str:
    return f"\nConversation-ID: {uuid4()}\nContribution-ID: {uuid4()}"


def cpim_text(sender: str, target: str, text: str, message_id: str) -> str:
    return f"""From: <{sender}>
To: <{target}>
NS: imdn <urn:ietf:params:imdn>
imdn.Message-ID: {message_id}
DateTime: 2026-03-02T10:15:00.000Z
imdn.Disposition-Notification: positive-delivery, negative-delivery, display

Content-Type: text/plain;charset=UTF-8
Content-Length: {len(text.encode())}

{text}"""


def read_cpim(request: Request) -> tuple[dict[str, str], str]:
    """What `read_cpim_octets` reads in the body of a MESSAGE."""
    return read_cpim_octets(request.body)


def read_cpim_octets(octets: bytes) -> tuple[dict[str, str], str]:
    """As a simple reader does it: literal names, one blank line, then the content after its own headers."""
    headers, _, rest = octets.decode().partition("\r\n\r\n")
    _, _, content = rest.partition("\r\n\r\n")
    return dict(line.split(": ", 1) for line in headers.split("\r\n")), content


@asynccontextmanager
async def lineage_script(lab: LineageLab, *, leaves_in_order: bool = False) -> AsyncIterator[LineageScript]:
    """A registered script. It dials port 5060 of the P-CSCF, whatever the document says."""
    host = lab.red["pcscf"]["tcp"].rpartition(":")[0]
    async with raw_phone(f"{host}:5060") as raw:
        script = LineageScript(raw, lab.subscriber())
        try:
            await script.register()
            yield script
        finally:
            for close in script.closes_with:
                close()
            if leaves_in_order:
                await script.leave()
