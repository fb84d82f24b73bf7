"""Requests and responses of autoconfiguration as the server reads and writes them (RCC.14, digest §1.2, §1.3)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from ims_core.transport.http_message import HeaderFields, HttpMessageError, HttpRequest, HttpResponse
from rcs_sim.e2ee.participant_key import ParticipantKeyError, read_participant_key
from rcs_sim.wire.autoconfig import AUTOCONFIG_CONTENT_TYPE, Characteristic, ProvisioningDocument
from rcs_sim.wire.encryption_parameters import PARTICIPANT_KEY_PARAMETER

__all__ = [
    "COOKIE",
    "ConfigQuery",
    "ConfigRefused",
    "authentication_required",
    "busy",
    "document_response",
    "enriched_msisdn",
    "plain_response",
    "redirect_location",
    "session_cookie",
]

COOKIE = "rcs-config"
MAX_DEVICE_CHARACTERS = 64  # of an IMEI or what a client sends for one
_MSISDN = re.compile(r"(?:tel:)?\+?([0-9]{3,15})")  # E.164
_VERSION = re.compile(r"-?[0-9]{1,10}")
_HOST = re.compile(r"([0-9A-Za-z.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_PRINTABLE = re.compile(r"[\x21-\x7e]*")


class ConfigRefused(Exception):
    """The request is answered with this and nothing else happens."""

    def __init__(self, status: int, reason: str, *headers: tuple[str, str]) -> None:
        super().__init__(reason)
        self.response = plain_response(status, reason.encode(), ("Content-Type", "text/plain;charset=utf-8"), *headers)


@dataclass(frozen=True, slots=True)
class ConfigQuery:
    """The parameters that decide (digest §1.2); others are tolerated unread. *participant_key* is b"" without one."""

    is_empty: bool
    vers: int
    msisdn: str
    imsi: str
    imei: str
    token: str
    otp: str | None
    sms_port: int | None
    participant_key: bytes = b""

    @classmethod
    def read(cls, request: HttpRequest) -> ConfigQuery:
        """Raises ConfigRefused with 400."""
        if not _PRINTABLE.fullmatch(request.target):
            raise ConfigRefused(400, "the request target is not plain ASCII")
        try:
            pairs = request.query()
        except HttpMessageError as error:
            raise ConfigRefused(400, str(error)) from None
        values: dict[str, str] = {}
        for name, value in pairs:
            values.setdefault(name.lower(), value)
        return cls(
            not pairs,
            _read_version(values.get("vers", "")),
            _read_msisdn(values.get("msisdn", "")),
            values.get("imsi", "").strip(),
            values.get("imei", "").strip()[:MAX_DEVICE_CHARACTERS],
            values.get("token", "").strip(),
            values.get("otp"),
            _read_port(values.get("sms_port")),
            _read_key(values.get(PARTICIPANT_KEY_PARAMETER, "")),
        )


def _read_version(text: str) -> int:
    if not text:
        return 0
    if not text.isascii() or not _VERSION.fullmatch(text):
        raise ConfigRefused(400, "vers is not an integer")
    return int(text)


def _read_msisdn(text: str) -> str:
    """E.164 with "+"; a "+" that the client did not escape arrives as a space."""
    stripped = text.strip().replace("-", "").replace(" ", "")
    match = _MSISDN.fullmatch(stripped)
    if stripped and match is None:
        raise ConfigRefused(400, "msisdn is not a telephone number")
    return f"+{match[1]}" if match is not None else ""


def _read_port(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 5 or int(text) > 0xFFFF:
        raise ConfigRefused(400, "SMS_port is not a port")
    return int(text)


def _read_key(text: str) -> bytes:
    try:
        return read_participant_key(text) if text else b""
    except ParticipantKeyError:
        raise ConfigRefused(400, f"{PARTICIPANT_KEY_PARAMETER} is no P-256 public key") from None


def enriched_msisdn(request: HttpRequest) -> str | None:
    """The number in X-MSISDN; None without one, with one that is no number, or with several that differ."""
    values = {value.strip() for name, value in request.headers if name.lower() == "x-msisdn"}
    match = _MSISDN.fullmatch(values.pop()) if len(values) == 1 else None
    return f"+{match[1]}" if match is not None else None


def redirect_location(request: HttpRequest, server_name: str, https_port: int) -> str:
    """The same request over https. *server_name* stands in for a Host that is none."""
    match = _HOST.fullmatch(request.header("Host") or "")
    host = match[1] if match is not None else server_name
    port = "" if https_port == 443 else f":{https_port}"
    return f"https://{host}{port}/?{request.target.partition('?')[2]}"


def document_response(characteristics: Iterable[Characteristic]) -> HttpResponse:
    body = ProvisioningDocument(tuple(characteristics)).encode()
    return plain_response(200, body, ("Content-Type", f"{AUTOCONFIG_CONTENT_TYPE};charset=utf-8"))


def plain_response(status: int, body: bytes, *headers: tuple[str, str]) -> HttpResponse:
    fields: HeaderFields = (*headers, ("Cache-Control", "no-store"))
    return HttpResponse(status, fields, body)


def session_cookie(cookie: str, lifetime_s: float) -> tuple[str, str]:
    # no Secure: the cookie is set over http and returned over https (digest §1.1)
    return "Set-Cookie", f"{COOKIE}={cookie}; Path=/; Max-Age={math.ceil(lifetime_s)}; HttpOnly"


def authentication_required() -> ConfigRefused:
    return ConfigRefused(511, "authentication required: ask for a one-time password")


def busy(wait_s: float) -> ConfigRefused:
    return ConfigRefused(503, "busy", ("Retry-After", str(max(1, math.ceil(wait_s)))))
