"""One message on its way, as somebody on the line sees it: read, rewritten, answered, sent again."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING

from ims_core.errors import RemoteProtocolError
from ims_core.transport.link import TappedFlow
from ims_core.wire.msrp.message import MsrpRequest, MsrpResponse
from ims_core.wire.sip.message import HeaderInput, Request, Response
from ims_core.wire.sip.parser import parse_datagram
from ims_core.wire.sms.sm_link import MalformedFrame, SmLinkDecoder, SmLinkMessage
from rcs_sim.scenario.faults.msrp_frames import read_frame, rechunked
from rcs_sim.wire.cpim import CPIM_CONTENT_TYPE, CpimMessage, CpimParseError

if TYPE_CHECKING:
    from rcs_sim.scenario.faults.link_tap import LinkTap

__all__ = ["Line", "Passing", "TapRule", "with_cpim_body"]

_INNER_LENGTH = re.compile(rb"(?i)(\r\ncontent-length:[ \t]*)[0-9]+")


class Line(Enum):
    """What a rule wants to see."""

    OCTETS = "octets"  # of any protocol, as they are sent, keep-alives too
    SIP = "SIP"
    MSRP = "MSRP"  # single frames
    HTTP = "HTTP"
    SM = "SM"
    CONTENT = "content"  # of RCS: a SIP MESSAGE, or all chunks of an MSRP message, with CPIM in it


class Passing:
    """*octets* are what is sent on *flow* by the element *source* to *target*; *frames* the chunks of an MSRP
    message."""

    __slots__ = ("_is_read", "_read", "flow", "frames", "line", "octets", "source", "tap", "target")

    def __init__(
        self, tap: LinkTap, flow: TappedFlow, octets: bytes, line: Line, frames: tuple[MsrpRequest, ...] = ()
    ) -> None:
        self.tap, self.flow, self.octets, self.line, self.frames = tap, flow, octets, line, frames
        self.source, self.target = tap.name_of(flow.local), tap.name_of(flow.remote)
        self._is_read = False
        self._read: object = None

    @property
    def protocol(self) -> str:
        """As the trace calls it."""
        if self.line is Line.CONTENT:
            return "MSRP" if self.frames else "SIP"
        return "" if self.line is Line.OCTETS else self.line.value

    # --- reading -----------------------------------------------------------------------------------------------------

    @property
    def sip(self) -> Request | Response | None:
        """None if it is no SIP message."""
        found = self._message(_read_sip)
        return found if isinstance(found, Request | Response) else None

    @property
    def request(self) -> Request | None:
        found = self.sip
        return found if isinstance(found, Request) else None

    @property
    def response(self) -> Response | None:
        found = self.sip
        return found if isinstance(found, Response) else None

    @property
    def frame(self) -> MsrpRequest | MsrpResponse | None:
        """A single MSRP frame."""
        found = self._message(read_frame)
        return found if isinstance(found, MsrpRequest | MsrpResponse) else None

    @property
    def short_message(self) -> SmLinkMessage | None:
        """A frame of an SM link."""
        found = self._message(_read_sm)
        return found if isinstance(found, SmLinkMessage) else None

    @property
    def cpim(self) -> CpimMessage | None:
        """The CPIM message that is carried."""
        content = self._carried()
        if content is None:
            return None
        try:
            return CpimMessage.parse(content)
        except CpimParseError:
            return None

    def _carried(self) -> bytes | None:
        if self.frames:
            kind = self.frames[0].content_type or ""
            content = b"".join(frame.body or b"" for frame in self.frames)
        else:
            request = self.request
            if request is None or request.method != "MESSAGE" or request.content_type is None:
                return None
            kind, content = str(request.text("Content-Type")), request.body
        return content if kind.partition(";")[0].strip().lower() == CPIM_CONTENT_TYPE else None

    def _message(self, read: Callable[[bytes], object]) -> object:
        if not self._is_read:
            self._is_read, self._read = True, read(self.octets)
        return self._read

    # --- rewriting ---------------------------------------------------------------------------------------------------

    def with_cpim(self, cpim: bytes) -> bytes:
        """The whole message with other CPIM octets in it."""
        if self.frames:
            return rechunked(self.frames, cpim)
        request = self.request
        assert request is not None
        return request.edit().body(cpim).done().encode()

    def as_new_request(self, *, number: str) -> bytes:
        """The same SIP request as one of its own: another branch and Call-ID, so that nobody takes it for a
        retransmission. *number* makes them unique."""
        request = self.request
        assert request is not None
        via = request.text("Via") or ""
        edit = request.edit().set("Call-ID", f"{number}-{request.call_id}")
        branch = re.sub(r"(;branch=z9hG4bK)", rf"\g<1>{number}", via, count=1)
        if len(request.texts("Via")) == 1 and branch != via:
            edit.set("Via", branch)
        else:
            edit.pop("Via").push("Via", branch.partition(",")[0])
        return edit.done().encode()

    # --- acting ------------------------------------------------------------------------------------------------------

    def answer(self, octets: bytes) -> None:
        """The sender gets *octets*, as if they came from the target."""
        self.flow.hand_in(octets)

    def answer_sip(self, status: int, reason: str | None = None, headers: tuple[HeaderInput, ...] = ()) -> bytes:
        """The sender of a request gets this response; gives its octets."""
        request = self.request
        assert request is not None
        octets = Response.to(request, status, reason, to_tag=self.tap.tag(), headers=headers).encode()
        self.answer(octets)
        return octets

    def answer_whole(self, status: int = 200) -> None:
        """The sender believes that the target has taken it: 200 to the request, or to each chunk."""
        if not self.frames:
            self.answer_sip(status)
        for frame in self.frames:
            self.answer(MsrpResponse.to(frame, status).encode())

    def send(self, octets: bytes | None = None, *, after_s: float = 0.0) -> None:
        """Sends on the same flow, past all rules: what passes if nothing else is said, at once if *after_s* is 0."""
        sent = self.octets if octets is None else octets
        if after_s > 0:
            self.tap.later(after_s, lambda: self.tap.pass_on(self.flow, sent))
        else:
            self.tap.pass_on(self.flow, sent)


class TapRule:
    """*apply* gives the octets that go on (those that came, or others), or None if nothing does."""

    __slots__ = ("apply", "lines")

    def __init__(self, lines: frozenset[Line], apply: Callable[[Passing], bytes | None]) -> None:
        self.lines, self.apply = lines, apply


def _read_sip(octets: bytes) -> object:
    try:
        return parse_datagram(octets)
    except RemoteProtocolError:
        return None


def _read_sm(octets: bytes) -> object:
    found = SmLinkDecoder().feed(octets)
    return found[0] if len(found) == 1 and not isinstance(found[0], MalformedFrame) else None


def with_cpim_body(cpim: CpimMessage, body: bytes) -> bytes:
    """The CPIM octets with another content of the same type; its length is put right."""
    head = cpim.raw[: len(cpim.raw) - len(cpim.body)] if cpim.body else cpim.raw
    if cpim.body and not cpim.raw.endswith(cpim.body):  # it has a transfer encoding, or a rest: as it is
        return cpim.raw
    place = head.find(b"\r\n\r\n")
    mime = _INNER_LENGTH.sub(lambda found: found[1] + str(len(body)).encode(), head[place:])
    return head[:place] + mime + body
