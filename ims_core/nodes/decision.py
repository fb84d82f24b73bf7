"""What a node decides about a request: the outputs of the decision cores, carried out by `proxy.Proxy`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeAlias

from ims_core.store.record_table import RecordType
from ims_core.transport.link import Flow
from ims_core.transport.sip_stack import Hop, Outcome
from ims_core.wire.sip.editor import Editor
from ims_core.wire.sip.memo import slot_setters
from ims_core.wire.sip.message import Request, Response

__all__ = [
    "Answer",
    "Decision",
    "Defer",
    "Delete",
    "Discard",
    "Forward",
    "Persist",
    "Put",
    "Reject",
    "ResponseHook",
    "Router",
    "Target",
]


@dataclass(frozen=True, slots=True, init=False)
class Target:
    """One branch (RFC 3261 §16.6): the request as it leaves but for the own Via, and where to. *key* is the node's own
    name for it, such as a binding."""

    request: Request
    hop: Hop
    key: object = None

    def __init__(self, request: Request, hop: Hop, key: object = None) -> None:
        # Written out, as in Forward: the __init__ of a frozen dataclass takes twice as long.
        _set_request(self, request)
        _set_hop(self, hop)
        _set_key(self, key)


_set_request, _set_hop, _set_key = slot_setters(Target)


@dataclass(frozen=True, slots=True, init=False)
class Forward:
    """Proxy the request to *targets*, all at once or (*is_sequential*) the next when the one before has failed."""

    targets: tuple[Target, ...]
    hook: ResponseHook | None = None
    is_sequential: bool = False

    def __init__(
        self, targets: tuple[Target, ...], hook: ResponseHook | None = None, is_sequential: bool = False
    ) -> None:
        _set_targets(self, targets)
        _set_hook(self, hook)
        _set_is_sequential(self, is_sequential)


_set_targets, _set_hook, _set_is_sequential = slot_setters(Forward)


@dataclass(frozen=True, slots=True)
class Reject:
    """Answer with a response made from the request."""

    status: int
    reason: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, init=False)
class Answer:
    """Answer with *response*; then carry out *actions*, which only the node understands. *is_stateless*: without a
    transaction, should the request come again it is asked about again (RFC 3261 §8.2.7)."""

    response: Response
    actions: tuple[object, ...] = ()
    is_stateless: bool = False

    def __init__(self, response: Response, actions: tuple[object, ...] = (), is_stateless: bool = False) -> None:
        _set_response(self, response)
        _set_actions(self, actions)
        _set_is_stateless(self, is_stateless)


_set_response, _set_actions, _set_is_stateless = slot_setters(Answer)


@dataclass(frozen=True, slots=True)
class Discard:
    """No answer, and no more work: an ACK that leads nowhere, an outcome that is not wanted."""


@dataclass(frozen=True, slots=True)
class Put:
    """Store *record*."""

    table: RecordType[Any]
    record: object


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove the record with *key*."""

    table: RecordType[Any]
    key: str


Persist: TypeAlias = Put | Delete


@dataclass(frozen=True, slots=True)
class Defer:
    """Store first; when that is safe, do *then*. If it fails the answer is 500."""

    writes: tuple[Persist, ...]
    then: Decision


Decision: TypeAlias = Forward | Reject | Answer | Discard | Defer


class ResponseHook:
    """What a node does to the responses of a `Forward`. The defaults do nothing."""

    __slots__ = ()

    EDITS: ClassVar[bool] = False  # whether `edit` does something

    def __init_subclass__(cls) -> None:
        cls.EDITS = cls.edit is not ResponseHook.edit

    def edit(self, editor: Editor[Response], response: Response, target: Target) -> None:
        """Changes a response on its way back; the own Via is gone already."""

    def take_writes(self) -> tuple[Persist, ...]:
        """What has to be stored before the 2xx goes on that `edit` has just seen."""
        return ()

    def replace(self, outcome: Outcome, target: Target, now: float) -> Decision | None:
        """Another decision in the place of a final answer that is not 2xx; None lets it stand.

        `Forward` tries further targets, `Reject` and `Answer` give the response that counts instead, `Discard` leaves
        this branch out."""
        return None


class Router(Protocol):
    """A decision core: synchronous, without I/O."""

    supported_extensions: frozenset[str]  # option tags that this node takes in Proxy-Require

    def route(self, request: Request, flow: Flow, now: float) -> Decision:
        """Decides about a request whose Max-Forwards, scheme, loop and Proxy-Require were checked.

        A SipParseError becomes its status."""
        ...

    def perform(self, actions: tuple[object, ...], now: float) -> None:
        """Carries out the actions of an `Answer` that was sent."""
        ...
