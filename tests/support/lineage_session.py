"""Chat sessions of a LineageOS-like phone as a script (real clients, rows 7 to 11): it never listens, connects to c=
and m=, writes its header fields in its own order, and stalls where the phone stalls."""

from __future__ import annotations

import ipaddress
import itertools
import re
from uuid import uuid4

from ims_core.wire.sip.message import Request, Response
from tests.support.lineage_script import CPM_SESSION, LineageScript, cpim_text, imdn_text, read_cpim_octets
from tests.support.raw_msrp import RawFrame, RawMsrp

__all__ = ["LineageSession", "Stalled", "cpim"]

_ANONYMOUS = "sip:anonymous@anonymous.invalid"
_CHUNK_OCTETS = 2048
_TAG = "sessiontag"


class Stalled(AssertionError):
    """Such a phone would wait for ever."""


class _Description:
    """An SDP as lines."""

    def __init__(self, octets: bytes) -> None:
        self.lines = octets.decode().split("\r\n")

    def line(self, start: str) -> str | None:
        return next((line.removeprefix(start) for line in self.lines if line.startswith(start)), None)

    def need(self, start: str) -> str:
        found = self.line(start)
        assert found is not None, self.lines
        return found


class LineageSession:
    """A session of *script*, from either side."""

    def __init__(self, script: LineageScript) -> None:
        self.script = script
        self.path = f"msrp://127.0.0.1:9/{uuid4().hex};tcp"
        self.call_id = f"{uuid4()}"
        self.msrp: RawMsrp
        self._cseq = itertools.count(1)
        self._routes: list[str] = []
        self._from = self._to = self.target = ""

    # --- its invitation ----------------------------------------------------------------------------------------------

    def description(self, setup: str = "active") -> str:
        return (
            f"""v=0
            o=- 1 1 IN IP4 127.0.0.1
            s=-
            c=IN IP4 127.0.0.1
            t=0 0
            m=message 9 TCP/MSRP *
            a=path:{self.path}
            a=accept-types:message/cpim application/im-iscomposing+xml
            a=accept-wrapped-types:text/plain message/imdn+xml application/vnd.gsma.rcs-ft-http+xml
            a=setup:{setup}
            a=sendrecv""".replace("            ", "")
            + "\n"
        )

    def write_invite(
        self, target: str, body: str | None = None, *, interval_s: int = 1800, content_type: str = "application/sdp"
    ) -> None:
        """No Conversation-ID, no Route; 100rel is announced."""
        raw, subscriber = self.script.raw, self.script.subscriber
        self._from, self._to = f"<{subscriber.impu}>;tag={uuid4().hex[:10]}", f"<{target}>"
        self.target = target
        raw.send(
            f"""INVITE {target} SIP/2.0
            Via: SIP/2.0/TCP {raw.own};branch={raw.branch()};rport
            Max-Forwards: 70
            From: {self._from}
            To: {self._to}
            Call-ID: {self.call_id}
            CSeq: {next(self._cseq)} INVITE
            Contact: {self.script.contact};+g.3gpp.icsi-ref="{CPM_SESSION.replace(":", "%3A")}"
            P-Preferred-Identity: <{subscriber.impu}>
            P-Preferred-Service: {CPM_SESSION}
            Accept-Contact: *;+g.3gpp.icsi-ref="{CPM_SESSION}";require;explicit
            Supported: timer, 100rel
            Session-Expires: {interval_s}
            Content-Type: {content_type}""",
            self.description() if body is None else body,
        )

    async def invite(self, target: str, *, interval_s: int = 1800) -> Response:
        """INVITE, 200, ACK, connection and first SEND; the 200."""
        self.write_invite(target, interval_s=interval_s)
        answered = await self.script.raw.response(200, "INVITE")
        await self.answered(answered)
        return answered

    async def answered(self, answered: Response) -> None:
        """The 200 has come: ACK, connection and first SEND."""
        self._to = answered.text("To") or ""
        self.target = _uri(answered.text("Contact") or "")
        self._routes = [route for text in reversed(answered.texts("Record-Route")) for route in reversed(_split(text))]
        self.write_in_dialog("ACK", 1)
        await self._connect(answered.body, may_be="passive")

    # --- the other side's --------------------------------------------------------------------------------------------

    async def accept(self) -> Request:
        """The next INVITE: 200 without a provisional answer, ACK, connection and first SEND."""
        invite = await self.script.raw.request("INVITE")
        await self.answer(invite)
        return invite

    async def answer(self, invite: Request, *, awaits_ack: bool = True) -> None:
        """As `accept`, for an INVITE that was read before."""
        self.call_id = invite.call_id
        self._from, self._to = f"{invite.text('To')};tag={_TAG}", invite.text("From") or ""
        self.target = _uri(invite.text("Contact") or "")
        self._routes = [route for text in invite.texts("Record-Route") for route in _split(text)]
        copied = [f"{name}: {text}" for name in ("Via", "Record-Route") for text in invite.texts(name)]
        head = (
            "SIP/2.0 200 OK",
            *copied,
            f"From: {self._to}",
            f"To: {self._from}",
            f"Call-ID: {invite.call_id}",
            f"CSeq: {invite.text('CSeq')}",
            f"Contact: {self.script.contact}",
            "Content-Type: application/sdp",
        )
        self.script.raw.send("\n".join(head), self.description())
        await self._connect(invite.body, may_be="actpass")
        if awaits_ack:
            await self.script.raw.request("ACK")

    # --- in a dialog that is not its own -----------------------------------------------------------------------------

    def acknowledge_refusal(self, refusal: Response) -> None:
        """ACK in the transaction of the INVITE (RFC 3261 §17.1.1.3)."""
        via, to = refusal.text("Via"), refusal.text("To")
        self.script.raw.send(
            f"""ACK {self.target} SIP/2.0
            Via: {via}
            Max-Forwards: 70
            From: {self._from}
            To: {to}
            Call-ID: {self.call_id}
            CSeq: 1 ACK"""
        )

    def pretend(self, target: str, peer: str) -> None:
        """As if a dialog with *peer* stood whose remote target is *target*."""
        self._from, self._to = f"<{self.script.subscriber.impu}>;tag=mine", f"<{peer}>;tag=theirs"
        self.target = target

    def steal(self, other: LineageSession) -> None:
        """The dialog of *other* on the own connection."""
        self.call_id, self._from, self._to, self.target = other.call_id, other._from, other._to, other.target
        self._routes = [*other._routes]

    # --- in the dialog -----------------------------------------------------------------------------------------------

    def write_in_dialog(self, method: str, number: int | None = None) -> None:
        """To the first host of the route set, which has to be an address (row 11)."""
        for route in self._routes:
            ipaddress.ip_address(_host(route))
        raw = self.script.raw
        raw.send(
            "\n".join(
                (
                    f"{method} {self.target} SIP/2.0",
                    f"Via: SIP/2.0/TCP {raw.own};branch={raw.branch()};rport",
                    "Max-Forwards: 70",
                    *(f"Route: {route}" for route in self._routes),
                    f"From: {self._from}",
                    f"To: {self._to}",
                    f"Call-ID: {self.call_id}",
                    f"CSeq: {next(self._cseq) if number is None else number} {method}",
                )
            )
        )

    async def bye(self) -> Response:
        self.write_in_dialog("BYE")
        answered = await self.script.raw.response(200, "BYE")
        self.msrp.close()
        return answered

    # --- media -------------------------------------------------------------------------------------------------------

    async def _connect(self, octets: bytes, *, may_be: str) -> None:
        """Plain TCP to what c= and m= say; the first SEND has neither body nor Byte-Range."""
        described = _Description(octets)
        if described.need("a=setup:") not in ("passive", may_be):
            raise Stalled(described.lines)
        port, protocol = described.need("m=message ").split(" ")[:2]
        assert protocol == "TCP/MSRP", protocol
        host = described.need("c=IN IP4 ")
        peer = described.need("a=path:")
        assert f"{host}:{port}/" in peer, "c= and m= are where the path leads"
        self.msrp = await RawMsrp.dial(host, int(port), own=self.path, peer=peer)
        self.script.closes_with.append(self.msrp.close)
        first = self.msrp.request("SEND", (f"Message-ID: {uuid4().hex}",))
        answered = await self.msrp.response(first)
        assert answered.status == 200, answered

    def chunk(self, message_id: str, body: bytes, first: int, total: int, content_type: str = "message/cpim") -> str:
        """One SEND in its order of header fields; the transaction id."""
        last = first + len(body) - 1
        return self.msrp.request(
            "SEND",
            (
                f"Message-ID: {message_id}",
                f"Content-Type: {content_type}",
                "Success-Report: yes",
                "Failure-Report: yes",
                f"Byte-Range: {first}-{last}/{total}",
            ),
            body,
            "$" if last == total else "+",
        )

    async def send(self, body: bytes, content_type: str = "message/cpim") -> RawFrame:
        """A message in chunks; the last response."""
        message_id, total = uuid4().hex, len(body)
        sent = [
            self.chunk(message_id, body[at : at + _CHUNK_OCTETS], at + 1, total, content_type)
            for at in range(0, total, _CHUNK_OCTETS)
        ]
        for transaction in sent:
            answered = await self.msrp.response(transaction)
            assert answered.status == 200, answered
        return answered

    def write_text(self, text: str, message_id: str) -> str:
        """A short text in one chunk, for which nobody waits here; the transaction id."""
        body = cpim(text, message_id)
        return self.chunk(uuid4().hex, body, 1, len(body))

    async def text(self, text: str, message_id: str) -> RawFrame:
        return await self.send(cpim(text, message_id))

    def typing(self, state: str) -> None:
        """Is-composing as it stands; nobody answers."""
        body = (
            '<?xml version="1.0" encoding="UTF-8"?><isComposing xmlns="urn:ietf:params:xml:ns:im-iscomposing">'
            f"<state>{state}</state><contenttype>text/plain</contenttype><refresh>60</refresh></isComposing>"
        ).encode()
        self.msrp.request(
            "SEND",
            (
                f"Message-ID: {uuid4().hex}",
                "Content-Type: application/im-iscomposing+xml",
                "Success-Report: no",
                "Failure-Report: no",
                f"Byte-Range: 1-{len(body)}/{len(body)}",
            ),
            body,
        )

    async def receipt(self, cpim_headers: dict[str, str], kind: str) -> RawFrame:
        """Tells that a message was delivered, or displayed."""
        body = f"""From: <{_ANONYMOUS}>
To: <{_ANONYMOUS}>
NS: imdn <urn:ietf:params:imdn>
imdn.Message-ID: {uuid4()}
DateTime: 2026-03-02T10:15:00.000Z

Content-Type: message/imdn+xml
Content-Disposition: notification

{imdn_text(cpim_headers["imdn.Message-ID"], kind)}"""
        return await self.send(body.replace("\n", "\r\n").encode())

    async def next_text(self, text: str) -> dict[str, str]:
        """Waits for that text; its CPIM header fields."""
        while True:
            message = await self.msrp.message()
            if message.content_type == "message/cpim":
                headers, content = read_cpim_octets(message.body)
                if content == text:
                    assert all(frame.text("Byte-Range") for frame in message.frames)
                    return headers

    async def next_receipt(self) -> tuple[str, str]:
        """Status and Message-ID of the next IMDN, which has to come in CPIM."""
        while True:
            message = await self.msrp.message()
            content = read_cpim_octets(message.body)[1] if message.content_type == "message/cpim" else ""
            found = re.search(r"<message-id>([^<]*)<.*<(delivered|displayed|failed)\s*/>", content, re.DOTALL)
            if found is not None:
                return found[2], found[1]

    async def next_typing(self) -> str:
        """The state that the next is-composing document tells; it comes as it stands."""
        while (message := await self.msrp.message()).content_type != "application/im-iscomposing+xml":
            pass
        return message.body.decode().partition("<state>")[2].partition("</state>")[0]


def cpim(text: str, message_id: str) -> bytes:
    """A text that asks for both receipts and names nobody."""
    return cpim_text(_ANONYMOUS, _ANONYMOUS, text, message_id).replace("\n", "\r\n").encode()


def _uri(contact: str) -> str:
    return contact.partition("<")[2].partition(">")[0]


def _host(route: str) -> str:
    return _uri(route).removeprefix("sip:").rpartition("@")[2].partition(";")[0].partition(":")[0]


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]
