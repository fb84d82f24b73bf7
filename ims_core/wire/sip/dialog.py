"""Dialogs: what the two ends of a call or of a subscription remember of each other (RFC 3261 §12, RFC 6665 §4.4.1).

A dialog builds the requests sent inside it, judges those received, and follows the peer's Contact. What runs in it (a
call, a subscription) is a usage (RFC 5057); when the last usage ends, so does the dialog.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Final, Self

from ims_core.errors import LocalProtocolError
from ims_core.wire.sip.address_headers import Contact, From, RecordRoute, Route, To, Via
from ims_core.wire.sip.core_headers import ContentType, CSeq
from ims_core.wire.sip.message import HeaderInput, Request, Response, SipMessage
from ims_core.wire.sip.uri import SipUri, Uri

__all__ = [
    "DIALOG",
    "DIALOG_IGNORED",
    "TARGET_REFRESH_METHODS",
    "Dialog",
    "DialogId",
    "DialogInput",
    "DialogSet",
    "DialogState",
    "DialogVerdict",
]

TARGET_REFRESH_METHODS: Final = frozenset({"INVITE", "UPDATE", "SUBSCRIBE", "NOTIFY", "REFER"})
"""Requests whose Contact replaces the remote target (RFC 3261 §12.2, RFC 3311, RFC 6665 §3.1, RFC 5057 §5)."""

MAX_FORKS: Final = 64  # dialogs that one request may make: a hostile peer could answer with ever new tags
_MAX_CSEQ: Final = 2**31 - 1  # RFC 3261 §8.1.1.5
_FATAL_STATUSES: Final = frozenset({408, 481})  # RFC 3261 §12.2.1.2: the peer does not know the dialog, or is gone


class DialogState(Enum):
    """RFC 3261 §12: a provisional response with a tag makes an early dialog, a 2xx a confirmed one."""

    EARLY = auto()
    CONFIRMED = auto()
    TERMINATED = auto()


class DialogInput(Enum):
    """What moves a dialog. The first three are answers to the request that made it, whichever end gave them."""

    PROVISIONAL = auto()
    SUCCESS = auto()
    FAILURE = auto()
    LOST = auto()  # 408, 481 or nothing came back for a request inside the dialog
    ENDED = auto()  # the last usage is over: BYE, or a subscription that ended


# RFC 3261 §12.1, §12.2.1.2, §12.3, §15
DIALOG: Mapping[tuple[DialogState, DialogInput], DialogState] = {
    (DialogState.EARLY, DialogInput.PROVISIONAL): DialogState.EARLY,
    (DialogState.EARLY, DialogInput.SUCCESS): DialogState.CONFIRMED,
    (DialogState.EARLY, DialogInput.FAILURE): DialogState.TERMINATED,
    (DialogState.EARLY, DialogInput.LOST): DialogState.TERMINATED,
    (DialogState.EARLY, DialogInput.ENDED): DialogState.TERMINATED,
    (DialogState.CONFIRMED, DialogInput.LOST): DialogState.TERMINATED,
    (DialogState.CONFIRMED, DialogInput.ENDED): DialogState.TERMINATED,
}
DIALOG_IGNORED: frozenset[tuple[DialogState, DialogInput]] = frozenset(
    {
        (DialogState.CONFIRMED, DialogInput.PROVISIONAL),  # overtaken by the 2xx
        (DialogState.CONFIRMED, DialogInput.SUCCESS),  # the 2xx once more
        (DialogState.CONFIRMED, DialogInput.FAILURE),  # of another branch
        *((DialogState.TERMINATED, event) for event in DialogInput),
    }
)


class DialogVerdict(Enum):
    """Whether a request inside a dialog may be processed (RFC 3261 §12.2.2)."""

    IN_ORDER = auto()
    OUT_OF_ORDER = auto()  # answered with 500


@dataclass(frozen=True, slots=True)
class DialogId:
    """Call-ID, local tag and remote tag (RFC 3261 §12). A tag is empty if an RFC 2543 peer sent none."""

    call_id: str
    local_tag: str
    remote_tag: str

    @classmethod
    def of(cls, received: SipMessage) -> Self:
        """The dialog that a received message is about. Raises SipParseError if From, To or Call-ID is malformed."""
        sender, receiver = received.require(From).tag or "", received.require(To).tag or ""
        if isinstance(received, Request):
            return cls(received.call_id, receiver, sender)
        return cls(received.call_id, sender, receiver)


class Dialog:
    """One end's state of a dialog (RFC 3261 §12.1): made by `as_uac`, `as_uas` or `by_notify`."""

    __slots__ = (
        "_initial_cseq",
        "_usages",
        "call_id",
        "is_secure",
        "local_cseq",
        "local_party",
        "remote_cseq",
        "remote_party",
        "remote_target",
        "route_set",
        "state",
    )

    def __init__(
        self,
        *,
        call_id: str,
        local_party: From,
        remote_party: To,
        remote_target: Uri,
        route_set: tuple[Route, ...],
        local_cseq: int | None,
        remote_cseq: int | None,
        state: DialogState,
        is_secure: bool = False,
    ) -> None:
        """*local_party* and *remote_party* carry the tags; a sequence number of None is empty (RFC 3261 §12.1.1)."""
        self.call_id = call_id
        self.local_party = local_party
        self.remote_party = remote_party
        self.remote_target = remote_target
        self.route_set = route_set
        self.local_cseq = local_cseq
        self.remote_cseq = remote_cseq
        self.state = state
        self.is_secure = is_secure
        self._initial_cseq = local_cseq
        self._usages: tuple[str, ...] = ()

    # --- construction ------------------------------------------------------------------------------------------------

    @classmethod
    def as_uac(cls, request: Request, response: Response, *, is_secure: bool = False) -> Self:
        """The dialog that *response* (101 to 299) to our *request* makes (RFC 3261 §12.1.2). Raises SipParseError.

        *is_secure*: the request went over TLS to a SIPS Request-URI. Without a Contact the Request-URI is the remote
        target (choice): some peers leave it away in provisional responses.
        """
        return cls(
            call_id=request.call_id,
            local_party=request.require(From),
            remote_party=response.require(To),
            remote_target=_target_of(response) or request.request_uri,
            route_set=_routes(response)[::-1],
            local_cseq=request.cseq.number,
            remote_cseq=None,
            state=DialogState.EARLY if response.status < 200 else DialogState.CONFIRMED,
            is_secure=is_secure,
        )

    @classmethod
    def as_uas(
        cls,
        request: Request,
        local_tag: str,
        *,
        state: DialogState = DialogState.CONFIRMED,
        is_secure: bool = False,
    ) -> Self:
        """The dialog that our response with *local_tag* to *request* makes (RFC 3261 §12.1.1).

        Raises SipParseError, to be answered with 400, if a header is malformed or Contact is missing.
        """
        sender, receiver = request.require(From), request.require(To)
        return cls(
            call_id=request.call_id,
            local_party=From(receiver.display_name, receiver.uri, receiver.params.with_("tag", local_tag)),
            remote_party=To(sender.display_name, sender.uri, sender.params),
            remote_target=request.require(Contact).uri,
            route_set=_routes(request),
            local_cseq=None,
            remote_cseq=request.cseq.number,
            state=state,
            is_secure=is_secure,
        )

    @classmethod
    def by_notify(cls, subscribe: Request, notify: Request, *, is_secure: bool = False) -> Self:
        """The dialog that the first *notify* of a notifier makes at the subscriber (RFC 6665 §4.1.2.4, §4.4.1).

        Its tags are reversed to those of *subscribe*. Raises SipParseError if a header is malformed or Contact is
        missing.
        """
        sender = notify.require(From)
        return cls(
            call_id=subscribe.call_id,
            local_party=subscribe.require(From),
            remote_party=To(sender.display_name, sender.uri, sender.params),
            remote_target=notify.require(Contact).uri,
            route_set=_routes(notify),
            local_cseq=subscribe.cseq.number,
            remote_cseq=notify.cseq.number,
            state=DialogState.CONFIRMED,
            is_secure=is_secure,
        )

    # --- identity ----------------------------------------------------------------------------------------------------

    @property
    def id(self) -> DialogId:
        return DialogId(self.call_id, self.local_party.tag or "", self.remote_party.tag or "")

    def is_about(self, received: SipMessage) -> bool:
        """Whether a received message belongs here. Raises SipParseError as `DialogId.of` does."""
        return DialogId.of(received) == self.id

    # --- sending -----------------------------------------------------------------------------------------------------

    def request(
        self,
        method: str,
        headers: Iterable[HeaderInput] = (),
        body: bytes = b"",
        content_type: ContentType | str | None = None,
        *,
        via: Via | None = None,
        max_forwards: int = 70,
    ) -> Request:
        """The next request inside the dialog (RFC 3261 §12.2.1.1). Without *via* the sender pushes its own.

        *headers* follow the ones made here; they hold Contact where *method* needs it. Raises LocalProtocolError if the
        dialog is over, and for ACK, which `ack` makes, and CANCEL, which is not sent inside a dialog.
        """
        if method in ("ACK", "CANCEL"):
            raise LocalProtocolError(f"{method} has the CSeq of its request", spec="RFC 3261 §12.2.1.1")
        if self.state is DialogState.TERMINATED:
            raise LocalProtocolError(f"{method} in a dialog that is over", spec="RFC 3261 §12.3")
        number = 1 if self.local_cseq is None else self.local_cseq + 1
        if number > _MAX_CSEQ:
            raise LocalProtocolError("the sequence numbers of the dialog are used up", spec="RFC 3261 §8.1.1.5")
        self.local_cseq = number
        return self._build(CSeq(number, method), headers, body, content_type, via, max_forwards)

    def ack(
        self,
        invite: Request,
        headers: Iterable[HeaderInput] = (),
        body: bytes = b"",
        content_type: ContentType | str | None = None,
        *,
        via: Via | None = None,
        max_forwards: int = 70,
    ) -> Request:
        """The ACK to a 2xx to our *invite* (RFC 3261 §13.2.2.4). *headers* repeat its credentials; *via* is new."""
        cseq = CSeq(invite.cseq.number, "ACK")
        return self._build(cseq, headers, body, content_type, via, max_forwards)

    def _build(
        self,
        cseq: CSeq,
        headers: Iterable[HeaderInput],
        body: bytes,
        content_type: ContentType | str | None,
        via: Via | None,
        max_forwards: int,
    ) -> Request:
        uri, routes = self._request_uri_and_routes()
        fields: list[HeaderInput] = [] if via is None else [via]
        fields += [("Max-Forwards", str(max_forwards)), *routes, self.local_party, self.remote_party]
        fields += [("Call-ID", self.call_id), cseq, *headers]
        return Request.new(cseq.method, uri, fields, body, content_type)

    def _request_uri_and_routes(self) -> tuple[Uri, tuple[Route, ...]]:
        """To a strict router the remote target goes last in Route, and its own URI is the Request-URI (§12.2.1.1)."""
        target = _as_request_uri(self.remote_target)
        if not self.route_set:
            return target, ()
        first = self.route_set[0].uri
        if isinstance(first, SipUri) and not first.is_loose_router:
            return _as_request_uri(first), (*self.route_set[1:], Route.of(self.remote_target))
        return target, self.route_set

    # --- receiving ---------------------------------------------------------------------------------------------------

    def receive_request(self, request: Request) -> DialogVerdict:
        """Takes note of a request inside the dialog (RFC 3261 §12.2.2): CSeq, and Contact of a target refresh.

        A gap is no error, only a lower number is. ACK and CANCEL have the number of their INVITE. Raises SipParseError,
        to be answered with 400, and then nothing has changed.
        """
        number, method = request.cseq.number, request.method
        if method in ("ACK", "CANCEL"):
            return DialogVerdict.IN_ORDER
        if self.remote_cseq is not None and number < self.remote_cseq:
            return DialogVerdict.OUT_OF_ORDER
        target = _target_of(request) if method in TARGET_REFRESH_METHODS else None
        self.remote_cseq = number
        self.remote_target = target or self.remote_target
        return DialogVerdict.IN_ORDER

    def receive_response(self, response: Response) -> None:
        """Takes note of the answer to one of our requests, the one that made the dialog included.

        A 2xx to a target refresh moves the remote target (§12.2.1.2); the first 2xx to the request that made the dialog
        also fixes the route set anew (§13.2.2.4). Raises SipParseError, and then nothing has changed.
        """
        status, cseq = response.status, response.cseq
        target = _target_of(response) if cseq.method in TARGET_REFRESH_METHODS and status < 300 else None
        if cseq.number == self._initial_cseq:
            if self.state is DialogState.EARLY and 200 <= status < 300:
                self.route_set = _routes(response)[::-1]
            self.remote_target = target or self.remote_target
            self.step(_input_of(status))
        elif status in _FATAL_STATUSES:
            self.step(DialogInput.LOST)
        elif 200 <= status < 300:
            self.remote_target = target or self.remote_target

    def answered(self, status: int) -> None:
        """We, as UAS, have answered the request that made the dialog."""
        self.step(_input_of(status))

    def request_timed_out(self) -> None:
        """No answer came for a request inside the dialog: it counts as a 408 (RFC 3261 §12.2.1.2)."""
        self.step(DialogInput.LOST)

    # --- usages ------------------------------------------------------------------------------------------------------

    @property
    def usages(self) -> frozenset[str]:
        return frozenset(self._usages)

    def begin_usage(self, name: str) -> None:
        """A call or a subscription begins to run in the dialog. Names are the caller's, such as ``subscribe reg``."""
        if name not in self._usages:
            self._usages = (*self._usages, name)

    def end_usage(self, name: str) -> None:
        """That usage is over, and with the last one the dialog (RFC 5057 §3, RFC 6665 §4.4.1)."""
        self._usages = tuple([each for each in self._usages if each != name])
        if not self._usages:
            self.step(DialogInput.ENDED)

    def step(self, event: DialogInput) -> None:
        """Goes along one line of DIALOG."""
        if (self.state, event) not in DIALOG_IGNORED:
            self.state = DIALOG[self.state, event]


class DialogSet:
    """The dialogs that one of our requests makes: several if a proxy forks it (RFC 3261 §12.1.2, RFC 6665 §4.4.1)."""

    __slots__ = ("_dialogs", "_is_secure", "request")

    def __init__(self, request: Request, *, is_secure: bool = False) -> None:
        self.request = request
        self._is_secure = is_secure
        self._dialogs: dict[str, Dialog] = {}

    @property
    def dialogs(self) -> tuple[Dialog, ...]:
        """In the order in which they were made."""
        return tuple(self._dialogs.values())

    def is_about(self, received: SipMessage) -> bool:
        """Whether Call-ID and our tag are those of the request. Raises SipParseError as `DialogId.of` does."""
        found = DialogId.of(received)
        return found.call_id == self.request.call_id and found.local_tag == (self.request.require(From).tag or "")

    def receive_response(self, response: Response) -> Dialog | None:
        """The dialog that an answer to the request belongs to, made if it is the first of its tag.

        None for a 100, for a provisional response without a tag, for a failure (which ends the early dialogs), and
        beyond MAX_FORKS. Raises SipParseError.
        """
        tag = response.require(To).tag or ""
        if response.status >= 300:
            for dialog in self._dialogs.values():
                dialog.step(DialogInput.FAILURE)
            return None
        if tag in self._dialogs:
            self._dialogs[tag].receive_response(response)
        elif response.status >= 200 or (tag and response.status > 100):
            self._add(tag, Dialog.as_uac(self.request, response, is_secure=self._is_secure))
        return self._dialogs.get(tag)

    def receive_notify(self, notify: Request) -> Dialog | None:
        """The dialog that a NOTIFY to our SUBSCRIBE belongs to, made if it is the first of its tag.

        `Dialog.receive_request` has still to judge it. None beyond MAX_FORKS. Raises SipParseError.
        """
        tag = notify.require(From).tag or ""
        if tag not in self._dialogs:
            self._add(tag, Dialog.by_notify(self.request, notify, is_secure=self._is_secure))
        return self._dialogs.get(tag)

    def _add(self, tag: str, dialog: Dialog) -> None:
        if len(self._dialogs) < MAX_FORKS:
            self._dialogs[tag] = dialog


def _routes(message: SipMessage) -> tuple[Route, ...]:
    """Record-Route as Route, with all parameters (RFC 3261 §12.1.1)."""
    return tuple([Route(each.display_name, each.uri, each.params) for each in message.get_all(RecordRoute)])


def _target_of(message: SipMessage) -> Uri | None:
    contact = message.get(Contact)
    return None if contact is None or contact.is_wildcard else contact.uri


def _as_request_uri(uri: Uri) -> Uri:
    """Without what a Request-URI may not hold (RFC 3261 §19.1.1 Table 1)."""
    if not isinstance(uri, SipUri) or (uri.headers is None and not uri.params.has("method")):
        return uri
    return replace(uri, headers=None, params=uri.params.without("method"))


def _input_of(status: int) -> DialogInput:
    if status < 200:
        return DialogInput.PROVISIONAL
    return DialogInput.SUCCESS if status < 300 else DialogInput.FAILURE
