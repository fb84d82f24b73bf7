"""What the autoconfiguration server decides, as values that its shell carries out in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from ims_core.store.configuration import ConfigurationRecord
from ims_core.transport.http_message import HttpResponse

__all__ = ["ConfigAction", "Persist", "Respond", "SendSms", "SmsSender"]


@dataclass(frozen=True, slots=True)
class Persist:
    """Keep *record* before anything that follows it."""

    record: ConfigurationRecord


@dataclass(frozen=True, slots=True)
class SendSms:
    """An SMS from the network. *content* is a text for *port* 0, else the octets for that application port."""

    msisdn: str
    content: str | bytes = field(repr=False)  # may hold a one-time password
    port: int = 0


@dataclass(frozen=True, slots=True)
class Respond:
    """The answer; always the last action of a request."""

    response: HttpResponse


ConfigAction: TypeAlias = Persist | SendSms | Respond
SmsSender: TypeAlias = Callable[[str, str | bytes, int], None]
