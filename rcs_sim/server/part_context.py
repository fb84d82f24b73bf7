"""What the parts of the participating function share: configuration, the users and their devices, what is decided."""

from __future__ import annotations

from dataclasses import dataclass

from ims_core.transport.tokens import Tokens
from ims_core.wire.sip.headers import Warning as WarningHeader
from ims_core.wire.sip.message import HeaderInput, Request
from ims_core.wire.sip.uri import Uri
from rcs_sim.server.delivery_ways import DeliveryWays
from rcs_sim.server.device_registry import DeviceRegistry
from rcs_sim.server.duplicate_filter import DuplicateFilter, MessageKey
from rcs_sim.server.mailbox import Mailboxes
from rcs_sim.server.messaging_actions import Deadlines, Exchange, Outbox
from rcs_sim.server.messaging_config import MessagingServerConfig
from rcs_sim.server.pager_content import ContentKind, PagerContent
from rcs_sim.server.served_users import ServedUser, Subscribers

__all__ = ["IncomingMessage", "PartContext", "with_user"]


@dataclass(frozen=True, slots=True)
class PartContext:
    """One per server; the parts change what it holds."""

    config: MessagingServerConfig
    tokens: Tokens
    subscribers: Subscribers
    devices: DeviceRegistry
    mailboxes: Mailboxes
    seen: DuplicateFilter
    outbox: Outbox
    deadlines: Deadlines
    ways: DeliveryWays

    def refuse(self, exchange: Exchange, status: int, why: str, headers: tuple[HeaderInput, ...] = ()) -> None:
        """A final answer of this server, which says why (digest §15.5 "errors it makes")."""
        self.outbox.respond(exchange, status, (self.warning(why), *headers))

    def warning(self, why: str) -> WarningHeader:
        """Warning 399 (RFC 3261 §20.43) in the name of this server."""
        printable = "".join(character if character.isprintable() else " " for character in why)
        return WarningHeader(399, self.config.name, printable[:200])

    @property
    def terminating_route(self) -> str:
        """Route of what goes to an own subscriber where no dialog identifier is alive (digest §16)."""
        return f"<{with_user(self.config.scscf, 'term')}>"

    @property
    def originating_route(self) -> str:
        """Route of what this server sends on behalf of a user (digest §16)."""
        return f"<{with_user(self.config.scscf, 'orig')}>"

    @property
    def service_identity(self) -> str:
        """Public service identity of this server: what it originates for itself meets no criteria of a user."""
        return f"sip:{self.config.name}@{self.config.domain}"


def with_user(uri: str, user: str) -> str:
    """*uri*, a SIP URI without or with a user part, with that user part."""
    scheme, _, rest = uri.partition(":")
    return f"{scheme}:{user}@{rest.rpartition('@')[2]}"


@dataclass(frozen=True, slots=True)
class IncomingMessage:
    """A MESSAGE for one of our users. *template* is what a device gets, but for Request-URI, Route and Call-ID."""

    user: ServedUser
    sender: Uri
    key: MessageKey
    content: PagerContent
    template: Request
    conversation_id: str | None

    @property
    def sender_key(self) -> str:
        return self.key[0]

    @property
    def message_id(self) -> str:
        return self.content.message_id

    @property
    def may_be_stored(self) -> bool:
        """Typing is not (digest §5.2)."""
        return self.content.kind is not ContentKind.TYPING

    @property
    def is_limited(self) -> bool:
        """Whether the storage limit per user holds; it does not for receipts (digest §15.5)."""
        return self.content.kind is ContentKind.CHAT
