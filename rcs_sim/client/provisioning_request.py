"""Autoconfiguration requests as the client writes them, and what its answers mean (RCC.14, digest §1.2, §1.3)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from urllib.parse import quote, urlencode, urljoin, urlsplit

from ims_core.transport.http_message import HeaderFields, HttpResponse
from rcs_sim.client.provisioning_values import ProvisioningSettings, Subscription
from rcs_sim.wire.autoconfig import AutoconfigParseError, ProvisioningDocument
from rcs_sim.wire.encryption_parameters import PARTICIPANT_KEY_PARAMETER, participant_key_value

__all__ = [
    "Answer",
    "CookieJar",
    "configuration_url",
    "is_trigger",
    "one_time_password",
    "otp_url",
    "read_answer",
    "redirect_target",
    "retry_after_s",
]

MAX_COOKIES = 50
MAX_RETRY_AFTER_S = 7 * 86_400.0  # a server that asks for more is held to a week
_PLAIN_URL = re.compile(r"[\x21-\x7e]{1,8192}")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TRIGGER = re.compile(r"-rcscfg(?:,[^\r\n]*)?\s*\Z")  # digest §1.1: user-id "-rcscfg" ["," param]
_CODE = re.compile(r"(?<![0-9])[0-9]{4,8}(?![0-9])")


def configuration_url(
    settings: ProvisioningSettings,
    subscription: Subscription,
    *,
    vers: int,
    rcs_state: int,
    msisdn: str,
    token: str | None = None,
    otp_port: int | None = None,
    participant_key: bytes = b"",
) -> str:
    """URL of the real request (digest §1.2). *token* and *otp_port* (SMS_port) are left out where they are None, and
    *participant_key* (DER) where it is empty."""
    software, policy = settings.software, settings.policy
    parameters = [
        ("vers", str(vers)),
        ("IMSI", subscription.imsi),
        ("IMEI", settings.imei),
        ("terminal_vendor", software.terminal_vendor[:4]),
        ("terminal_model", software.terminal_model[:10]),
        ("terminal_sw_version", software.terminal_sw_version[:10]),
        ("client_vendor", software.client_vendor[:4]),
        ("client_version", software.client_version[:15]),
        ("rcs_version", policy.rcs_version[:4]),
        *(("rcs_profile", profile[:15]) for profile in policy.rcs_profiles),
        ("rcs_state", str(rcs_state)),
        *((("SMS_port", str(otp_port)),) if otp_port is not None else ()),
        ("msisdn", msisdn),
        *((("token", token),) if token is not None else ()),
        ("default_sms_app", str(settings.default_sms_app)),
        *((("provisioning_version", policy.provisioning_version),) if policy.provisioning_version else ()),
        *(("app", app) for app in settings.apps),
        *settings.extra_parameters,
        *(((PARTICIPANT_KEY_PARAMETER, participant_key_value(participant_key)),) if participant_key else ()),
    ]
    return _with_query(settings.configuration_url, parameters)


def otp_url(settings: ProvisioningSettings, code: str) -> str:
    """URL that carries the one-time password; the cookie says for whom (digest §1.1)."""
    return _with_query(settings.configuration_url, [("OTP", code)])


def _with_query(url: str, parameters: list[tuple[str, str]]) -> str:
    parts = urlsplit(url)
    return parts._replace(path=parts.path or "/", query=urlencode(parameters, quote_via=quote), fragment="").geturl()


class CookieJar:
    """Cookies of one configuration procedure, by host: those of step 1 go with the requests after it (digest §1.1)."""

    __slots__ = ("_cookies",)

    def __init__(self) -> None:
        self._cookies: dict[tuple[str, str], str] = {}

    def store(self, url: str, response: HttpResponse) -> None:
        host = urlsplit(url).hostname or ""
        for cookie in response.set_cookies():
            self._cookies.pop((host, cookie.name), None)
            if not cookie.is_removal and len(self._cookies) < MAX_COOKIES:
                self._cookies[host, cookie.name] = cookie.value

    def headers(self, url: str) -> HeaderFields:
        host = urlsplit(url).hostname or ""
        pairs = [f"{name}={value}" for (of, name), value in self._cookies.items() if of == host]
        return (("Cookie", "; ".join(pairs)),) if pairs else ()

    def clear(self) -> None:
        self._cookies.clear()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a 200 brought: a *document* with VERS, or, *is_readable* without one, word that a one-time password is under
    way (to *otp_port* if the server says so)."""

    is_readable: bool
    document: ProvisioningDocument | None = None
    otp_port: int | None = None


def read_answer(response: HttpResponse, *, is_announcement: bool) -> Answer:
    """The body of a 200. *is_announcement*: it answers the request without parameters; only its cookie counts."""
    body = response.body.strip()
    if body.startswith((b"<", b"\xef\xbb\xbf<")):
        try:
            document = ProvisioningDocument.parse(body)
            if document.vers is not None:
                return Answer(True, document)
        except AutoconfigParseError:
            return Answer(is_announcement)
        return Answer(is_announcement or document.otp_port is not None, None, document.otp_port)
    # an empty body or a marker text; a text without a cookie is some other server's (captive portal)
    return Answer(is_announcement or not body or bool(response.set_cookies()))


def redirect_target(response: HttpResponse, url: str, *, allows_http: bool) -> str | None:
    """Where a redirect leads; None if it is none, or one that must not be followed (digest §1.3: https only)."""
    location = response.header("Location")
    if response.status not in _REDIRECTS or not location:
        return None
    try:
        target = urlsplit(urljoin(url, location.strip()))
        is_usable = bool(target.hostname) and target.port != 0
    except ValueError:
        return None
    schemes = ("https", "http") if allows_http else ("https",)
    found = target._replace(fragment="").geturl()
    return found if is_usable and target.scheme in schemes and _PLAIN_URL.fullmatch(found) else None


def retry_after_s(response: HttpResponse, now: float) -> float | None:
    """Seconds to wait by Retry-After (RFC 9110 §10.2.3), at most `MAX_RETRY_AFTER_S`; None without a readable
    one, and for one that asks for no wait at all, which would make a storm of the same question (choice)."""
    text = (response.header("Retry-After") or "").strip()
    if text.isascii() and text.isdecimal():
        return min(float(text[:12]), MAX_RETRY_AFTER_S) or None
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    aware = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return min(max(aware.timestamp() - now, 0.0), MAX_RETRY_AFTER_S) or None


def is_trigger(text: str) -> bool:
    """Whether an SMS asks for a configuration: receivers look at the suffix only (digest §1.1)."""
    return _TRIGGER.search(text) is not None


def one_time_password(content: str | bytes, port: int, expected_port: int) -> str | None:
    """The code in an SMS that came to *port* (0: a text SMS); None if it is none for us."""
    text = content.decode("utf-8", "replace") if isinstance(content, bytes) else content
    if port != expected_port:
        return None
    match = _CODE.search(text)
    if match is not None:
        return match[0]
    return text.strip()[:64] or None if port else None
