"""The messaging server of carrier blue as focus: Bob and Carol are its users, Zoe is with another carrier, and all have
higher numbers than Bob. Messages are pager messages of any length; sessions are in focus_sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from ims_core.transport.tokens import Tokens
from ims_core.wire.sip.message import Request
from rcs_sim.e2ee.client_message import ClientMlsRcsMessage
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.mls_headers import FocusHeaders, MlsHeaders
from rcs_sim.e2ee.server_message import ServerMlsRcsMessage, decode_server_message
from rcs_sim.server.messaging_actions import Respond, SendRequest
from rcs_sim.server.mls_conversation import MlsConversation
from rcs_sim.server.mls_rules import MlsFocusRules
from rcs_sim.server.participating_function import ParticipatingFunction
from rcs_sim.wire.cpim import ANONYMOUS_URI, CpimMessage, compose_cpim
from rcs_sim.wire.imdn import Imdn
from tests.rcs_sim.server.messaging_lab import (
    BLUE,
    BOB,
    CAROL,
    CONFIG,
    RED,
    Directory,
    Lab,
    UeBinding,
    message,
    third_party_register,
)
from tests.support.focus_devices import NOW_S, FocusDevice, seams

ZOE = "+12025550199"
HOST = "192.0.2.11"  # where all messages of the tests come from
FOCUS_CONFIG = replace(CONFIG, mls_rules=MlsFocusRules(), pager_max_octets=1_000_000)


@dataclass
class FocusLab(Lab):
    """*config* has rules for encrypted conversations."""

    config: Any = FOCUS_CONFIG
    now: float = float(NOW_S)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.core = ParticipatingFunction(self.config, self.sh, Tokens("test"), blocked=self.blocked, seams=seams())

    def restarted(self) -> FocusLab:
        lab = FocusLab(config=self.config, sh=self.sh, now=self.now)
        lab.records = dict(self.records)
        names = ("deferred_messages", "delivery_cursors", "registered_devices")
        messages, cursors, devices = (cast("list[Any]", self.table(name)) for name in names)
        lab.run(lab.core.load(messages, cursors, devices, self.now))
        conversations, log = (cast("list[Any]", self.table(name)) for name in _TABLES)
        lab.run(lab.core.load_focus(conversations, log, self.now))
        return lab

    def table(self, name: str) -> list[object]:
        return [record for (table, _), record in sorted(self.records.items()) if table == name]

    def registered(self, *numbers: str) -> None:
        for number in numbers or (BOB, CAROL):
            assert self.ask(third_party_register(UeBinding(host=HOST), number=number)) is not None

    # -- what devices send -------------------------------------------------------------------------------------------

    def request(
        self, device: FocusDevice, other: str, control_id: str, asked: ClientMlsRcsMessage | bytes
    ) -> Respond | None:
        """A control message; the answer of the transport, if it came at once."""
        body = asked if isinstance(asked, bytes) else asked.encode()
        return self.ask(sent_by(device, other, control_id, body, "message/mls-rcs-client"))

    def pull(self, device: FocusDevice, other: str, control_id: str, body: bytes = b"") -> Respond | None:
        return self.ask(sent_by(device, other, control_id, body, "message/mls-rcs"))

    def application(
        self, device: FocusDevice, other: str, message_id: str, held: EpochIdentifier | None = None
    ) -> Respond | None:
        state = device.state if held is None else held
        return self.ask(sent_by(device, other, message_id, b"sealed", "message/mls", state))

    def conversation(self, one: str, other: str) -> MlsConversation:
        assert self.core.focus is not None
        found = self.core.focus.conversation(one.strip("+"), other.strip("+"))
        assert found is not None
        return found

    def told(self) -> list[Said]:
        """What was sent since the last call, all of it answered with 200."""
        said = []
        while sent := self.take():
            for each in sent:
                said.append(Said.of(each))
                self.answer(each)
        return said


_TABLES = ("mls_conversations", "mls_control_messages")


@dataclass(frozen=True)
class Said:
    """A message of the focus to somebody."""

    to: str
    asserted: str
    cpim: CpimMessage
    sent: SendRequest

    @classmethod
    def of(cls, sent: SendRequest) -> Said:
        request = sent.request
        return cls(
            request.request_uri_text,
            request.texts("P-Asserted-Identity")[0],
            CpimMessage.parse(request.body),
            sent,
        )

    @property
    def kind(self) -> str:
        return self.cpim.content_type.essence

    @property
    def arm(self) -> ServerMlsRcsMessage:
        return decode_server_message(self.cpim.body)

    @property
    def reason(self) -> str | None:
        return Imdn.parse(self.cpim.body).server_failure_reason

    @property
    def headers(self) -> FocusHeaders:
        return FocusHeaders.of(self.cpim)


def sent_by(
    device: FocusDevice,
    other: str,
    message_id: str,
    body: bytes,
    content_type: str,
    held: EpochIdentifier | None = None,
    wishes: Sequence[str] = ("negative-delivery",),
    case: str = "",
) -> Request:
    """A MESSAGE as the S-CSCF hands it over to the server of the lower number; that of the other one has passed it on
    before."""
    headers = () if held is None else MlsHeaders(era_id=held.era_id, epoch_authenticator=held.epoch_authenticator)
    cpim = compose_cpim(
        sender=ANONYMOUS_URI,
        recipient=ANONYMOUS_URI,
        message_id=message_id,
        date_time="2027-01-15T08:00:00.000Z",
        body=body,
        content_type=content_type,
        disposition_notification=wishes,
        extra=() if isinstance(headers, tuple) else headers.to_headers(),
    )
    number = f"+{device.digits}"
    domain = BLUE if number in (BOB, CAROL) else RED
    case = case or ("orig" if number < other else "term")
    return message(cpim, sender=number, recipient=other, case=case, domain=domain, call_id=f"{message_id}@x")


__all__ = ["FOCUS_CONFIG", "HOST", "ZOE", "Directory", "FocusLab", "Said", "sent_by"]
