"""MESSAGEs that the server itself sends to a sender, on behalf of the recipient: receipts and revoke answers."""

from __future__ import annotations

from collections.abc import Callable

from ims_core.wire.sip.message import HeaderInput, Request, Response
from rcs_sim.server.device_capabilities import CPM_MSG, CPM_SYSTEM
from rcs_sim.server.messaging_actions import SendRequest
from rcs_sim.server.pager_content import PagerContent
from rcs_sim.server.part_context import PartContext
from rcs_sim.server.relayed_request import make_request, rfc3339
from rcs_sim.server.served_users import ServedUser, asserted_identities, dialable_uri, key_of, key_of_uri
from rcs_sim.wire.cpim import ANONYMOUS_URI, compose_cpim
from rcs_sim.wire.imdn import IMDN_CONTENT_TYPE, Imdn, ImdnKind, ImdnStatus
from rcs_sim.wire.revocation import REVOCATION_CONTENT_TYPE, RevokeResponse

__all__ = ["ServerNotices", "compose_notice"]

_ATTEMPTS = 16
_LONGEST_PAUSE_S = 1800.0  # pauses double up to this: a network may be away for some hours in all (choice)
_PERMANENT_BELOW = 500  # 4xx other than those of an absent user: trying again does not help
_TRY_AGAIN = frozenset((408, 430, 480))
_IDS = ("Conversation-ID", "Contribution-ID")


class ServerNotices:
    """Writes and sends them; one that does not get through is tried again for some hours: it may say that a message was
    removed, and nobody but its sender can send that by another way."""

    __slots__ = ("_context", "deliver_own")

    def __init__(self, context: PartContext) -> None:
        self._context = context
        self.deliver_own: Callable[[Request, ServedUser, float], None] | None = None
        """Takes a notice to a user of ours about a message to nobody's RCS user: no network stands for that one."""

    def report(self, original: Request, content: PagerContent, kind: ImdnKind, status: ImdnStatus, now: float) -> None:
        """An IMDN about *original*, a message to one of our users, to its sender."""
        imdn = Imdn(content.message_id, content.date_time, kind, status)
        self._send(original, imdn.encode(), IMDN_CONTENT_TYPE, "notification", CPM_MSG, now)
        self._context.outbox.note(f"receipt {status}", "sent to the sender by the server", content.message_id)

    def answer_revocation(self, revocation: Request, message_id: str, is_revoked: bool, now: float) -> None:
        """The response to a revoke request (digest §5.4)."""
        body = RevokeResponse(message_id, is_revoked).encode()
        self._send(revocation, body, REVOCATION_CONTENT_TYPE, None, CPM_SYSTEM, now)

    def _send(
        self, original: Request, body: bytes, content_type: str, disposition: str | None, icsi: str, now: float
    ) -> None:
        target = dialable_uri(asserted_identities(original))
        if target is None:
            self._context.outbox.note("notice dropped", "its message names no sender")
            return
        context = self._context
        served = context.subscribers.find(key_of(original.request_uri_text))
        cpim = compose_notice(context, body, content_type, disposition, now)
        ids: tuple[HeaderInput, ...] = tuple((name, text) for name in _IDS if (text := original.text(name)) is not None)
        request = make_request(
            target=target,
            sender=original.request_uri_text,
            is_registered=served is not None and bool(context.devices.reachable(served.key, now)),
            body=cpim,
            route=context.originating_route,
            tokens=context.tokens,
            domain=context.config.domain,
            icsi=icsi,
            ids=ids,
        )
        own = context.subscribers.find(key_of_uri(target)) if self.deliver_own is not None else None
        if own is not None and served is None:
            assert self.deliver_own is not None
            self.deliver_own(request.edit().remove("Route", "P-Served-User").done(), own, now)
        else:
            context.outbox.add(SendRequest(request, _Notice(context, request)))


def compose_notice(context: PartContext, body: bytes, content_type: str, disposition: str | None, now: float) -> bytes:
    """The CPIM of what the server itself says."""
    return compose_cpim(
        sender=ANONYMOUS_URI,
        recipient=ANONYMOUS_URI,
        message_id=context.tokens.uuid(),
        date_time=rfc3339(now),
        body=body,
        content_type=content_type,
        content_disposition=disposition,
    )


class _Notice:
    """One of them on its way; errand, and deadline of its next attempt."""

    __slots__ = ("_attempts", "_context", "_request", "is_over")

    def __init__(self, context: PartContext, request: Request) -> None:
        self._context = context
        self._request = request
        self._attempts = 1
        self.is_over = False

    def finished(self, status: int, response: Response | None, now: float) -> None:
        if status < 300 or (status < _PERMANENT_BELOW and status not in _TRY_AGAIN) or self._attempts == _ATTEMPTS:
            self.is_over = True
            if status >= 300:
                self._context.outbox.note("notice lost", f"the sender's network answered {status}")
            return
        pause_s = min(self._context.config.redeliver_min_s * 2 ** (self._attempts - 1), _LONGEST_PAUSE_S)
        self._context.deadlines.arm(now + pause_s, self)

    def expired(self, now: float) -> None:
        self._attempts += 1
        call_id = f"{self._context.tokens.word()}@{self._context.config.domain}"
        self._request = self._request.edit().set("Call-ID", call_id).done()
        self._context.outbox.add(SendRequest(self._request, self))
