"""What only the members of a group decide: forms of messages, retention, where PSKs come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from ims_core.wire.secret import Secret
from rcs_sim.mls.identifiers import Epoch, WireFormat
from rcs_sim.mls.key_log import WriteLine
from rcs_sim.mls.private_framing import Padding, no_padding
from rcs_sim.mls.seams import Seams
from rcs_sim.mls.secret_tree import RatchetWindow

__all__ = ["MemberPolicy", "NoPsks", "PskProvider"]


class PskProvider(Protocol):
    """Gives pre-shared keys (RFC 9420 §8.4). Resumption PSKs of its own past epochs a group has itself."""

    def external_psk(self, psk_id: bytes) -> Secret | None:
        """A key that the application has given out of band."""

    def resumption_psk(self, group_id: bytes, epoch: Epoch) -> Secret | None:
        """resumption_psk of an epoch of another group, or of one that the group has forgotten."""


class NoPsks:
    """Has none."""

    __slots__ = ()

    def external_psk(self, psk_id: bytes) -> Secret | None:
        """None."""
        return None

    def resumption_psk(self, group_id: bytes, epoch: Epoch) -> Secret | None:
        """None."""
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberPolicy:
    """*past_epochs*: how many epochs before the present one can still be read. *resumption_epochs*: of how many the
    resumption PSK is kept, that of the present among them. *padding* is given the octets of a content, signature
    included. With *only_own_form*, members' handshakes that come in another form than *handshake_wire_format* are
    refused (VAL-816). *key_log* is given lines of key_log as keys come into use; without it none is written."""

    seams: Seams = field(default_factory=Seams)
    psks: PskProvider = field(default_factory=NoPsks)
    handshake_wire_format: WireFormat = WireFormat.PRIVATE_MESSAGE
    only_own_form: bool = False
    padding: Padding = no_padding
    window: RatchetWindow = field(default_factory=RatchetWindow)
    past_epochs: int = 3
    resumption_epochs: int = 8
    key_log: WriteLine | None = None
