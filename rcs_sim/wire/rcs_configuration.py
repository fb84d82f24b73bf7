"""What an autoconfiguration document tells a client (digest §1.5, §1.6): one typed value that also writes it.

Each member names its parm and the place where our documents have it; readers take the parm wherever it stands.
"""

from __future__ import annotations

import ipaddress
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from enum import Enum, StrEnum
from functools import lru_cache
from typing import Any, TypeVar

from ims_core.wire.secret import Secret
from rcs_sim.wire.autoconfig import Characteristic, Parm, ProvisioningDocument
from rcs_sim.wire.encryption_parameters import ENCRYPTION_PARAMETERS, EncryptionParameters

__all__ = ["AuthType", "PcscfAddress", "RcsConfiguration", "StandaloneMessaging"]

T = TypeVar("T")

IMS_APPLICATION = "ap2001"
RCS_APPLICATION = "ap2002"
MAX_LISTED = 64  # public identities, P-CSCF addresses or extensions taken from one document
_PASSED_THROUGH = ("E2EE", "SERVICEPROVIDEREXT")  # kept as they are; `encryption` reads them
_HOST_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s\[\]:/@]+))(?::([0-9]{1,5}))?")


class _Place(Enum):
    """Characteristic that holds a parm in the documents we write; *value* is its type."""

    IMS = "APPLICATION"
    GSMA = "GSMA"
    TRANSPORT = "transportProto"
    SERVICES = "SERVICES"
    CAPDISCOVERY = "CAPDISCOVERY"
    MESSAGING = "MESSAGING"
    CHAT = "Chat"
    STANDALONE = "StandaloneMsg"
    FILE_TRANSFER = "FileTransfer"
    CHATBOT = "Chatbot"
    CLIENT_CONTROL = "CLIENTCONTROL"
    UX = "UX"


@dataclass(frozen=True, slots=True)
class _Source:
    """Where a member comes from. *is_ambiguous*: the name means something else under another parent."""

    place: _Place
    name: str
    is_ambiguous: bool = False


def _parm(place: _Place, name: str, default: T, *, is_ambiguous: bool = False) -> T:
    value: T = field(default=default, metadata={"source": _Source(place, name, is_ambiguous)})
    return value


class AuthType(StrEnum):
    """``AuthType``: how the client authenticates at IMS registration."""

    EARLY_IMS = "EarlyIMS"
    AKA = "AKA"
    DIGEST = "Digest"


class StandaloneMessaging(Enum):
    """``standaloneMsgAuth`` (digest §1.6)."""

    OFF = 0
    SEND_AND_RECEIVE = 1
    RECEIVE_ONLY = 2


@dataclass(frozen=True, slots=True)
class PcscfAddress:
    """Entry of ``LBO_P-CSCF_Address``. *host* is an IP literal without brackets or a name; *port* None means 5060."""

    host: str
    port: int | None = None

    @classmethod
    def parse(cls, text: str) -> PcscfAddress | None:
        """None if *text* is no host with an optional port."""
        stripped = text.strip()
        if stripped.count(":") > 1 and _ip_version(stripped) == 6:
            return cls(stripped)
        match = _HOST_PORT.fullmatch(stripped)
        if match is None or (match[1] and _ip_version(match[1]) != 6) or not 0 <= int(match[3] or 0) <= 0xFFFF:
            return None
        return cls(match[1] or match[2], int(match[3]) if match[3] else None)

    @property
    def type(self) -> str:
        """``AddressType``: IPv4, IPv6 or FQDN."""
        version = _ip_version(self.host)
        return "FQDN" if version is None else f"IPv{version}"

    def __str__(self) -> str:
        if self.port is None:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _ip_version(text: str) -> int | None:
    try:
        return ipaddress.ip_address(text).version
    except ValueError:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class RcsConfiguration:
    """Settings of one subscriber. Texts are "" where the document has none.

    The defaults of the members from *timer_t1_ms* on are those for a document that does not name them."""

    msisdn: str = ""
    public_identities: tuple[str, ...] = ()
    pcscf_addresses: tuple[PcscfAddress, ...] = ()
    auth_type: str = AuthType.DIGEST  # an AuthType where it is known
    realm: str = ""
    user_name: str = ""
    password: Secret | None = None
    extensions: tuple[Characteristic, ...] = ()  # E2EE and the like, passed through

    home_domain: str = _parm(_Place.IMS, "Home_network_domain_name", "")
    private_identity: str = _parm(_Place.IMS, "Private_User_Identity", "")
    timer_t1_ms: int = _parm(_Place.IMS, "Timer_T1", 2000)
    timer_t2_ms: int = _parm(_Place.IMS, "Timer_T2", 16_000)
    timer_t4_ms: int = _parm(_Place.IMS, "Timer_T4", 17_000)
    reg_retry_base_s: int = _parm(_Place.IMS, "RegRetryBaseTime", 30)
    reg_retry_max_s: int = _parm(_Place.IMS, "RegRetryMaxTime", 1800)

    instance_uuid: str = _parm(_Place.GSMA, "uuid_Value", "")
    end_user_confirmation_uri: str = _parm(_Place.GSMA, "endUserConfReqId", "")
    single_registration: int = _parm(_Place.GSMA, "rcsVolteSingleRegistration", 1)
    ps_signalling: str = _parm(_Place.TRANSPORT, "psSignalling", "")  # SIPoUDP, SIPoTCP or SIPoTLS
    ps_media: str = _parm(_Place.TRANSPORT, "psMedia", "")  # MSRP or MSRPoTLS
    ps_rt_media: str = _parm(_Place.TRANSPORT, "psRTMedia", "")  # RTP or SRTP
    ps_signalling_roaming: str = _parm(_Place.TRANSPORT, "psSignallingRoaming", "")
    ps_media_roaming: str = _parm(_Place.TRANSPORT, "psMediaRoaming", "")
    wifi_signalling: str = _parm(_Place.TRANSPORT, "wifiSignalling", "")
    wifi_media: str = _parm(_Place.TRANSPORT, "wifiMedia", "")
    wifi_rt_media: str = _parm(_Place.TRANSPORT, "wifiRTMedia", "")

    supported_profiles: str = _parm(_Place.SERVICES, "SupportedRCSProfileVersions", "")  # comma separated
    chat_auth: bool = _parm(_Place.SERVICES, "ChatAuth", False)
    group_chat_auth: bool = _parm(_Place.SERVICES, "GroupChatAuth", False)
    file_transfer_auth: bool = _parm(_Place.SERVICES, "ftAuth", False)
    standalone_auth: int = _parm(_Place.SERVICES, "standaloneMsgAuth", 0)
    geolocation_auth: bool = _parm(_Place.SERVICES, "geolocPushAuth", False)
    composer_auth: int = _parm(_Place.SERVICES, "composerAuth", 0)
    shared_map_auth: bool = _parm(_Place.SERVICES, "sharedMapAuth", False)
    shared_sketch_auth: bool = _parm(_Place.SERVICES, "sharedSketchAuth", False)
    post_call_auth: bool = _parm(_Place.SERVICES, "postCallAuth", False)

    default_discovery: int = _parm(_Place.CAPDISCOVERY, "defaultDisc", 0)  # 0 OPTIONS, 1 presence, 2 none
    capability_expiry_s: int = _parm(_Place.CAPDISCOVERY, "capInfoExpiry", 86_400)
    non_rcs_capability_expiry_s: int = _parm(_Place.CAPDISCOVERY, "nonRCScapInfoExpiry", 2_592_000)
    message_capability_validity_s: int = _parm(_Place.CAPDISCOVERY, "msgCapValidity", 30)
    polling_period_s: int = _parm(_Place.CAPDISCOVERY, "pollingPeriod", 0)
    common_stack: int = _parm(_Place.CAPDISCOVERY, "capDiscCommonStack", 0)

    max_one_to_many_recipients: int = _parm(_Place.MESSAGING, "max1ToManyRecipients", 0)
    one_to_many_technology: int = _parm(_Place.MESSAGING, "1toManySelectedTech", 0)
    display_notification_switch: int = _parm(_Place.MESSAGING, "displayNotificationSwitch", 0)
    spam_reporting_uri: str = _parm(_Place.MESSAGING, "SpamReportingUri", "")
    service_availability_expiry_s: int = _parm(_Place.CLIENT_CONTROL, "serviceAvailabilityInfoExpiry", 0)

    max_group_size: int = _parm(_Place.CHAT, "max_adhoc_group_size", 10)
    conference_factory_uri: str = _parm(_Place.CHAT, "conf-fcty-uri", "")
    auto_accept: bool = _parm(_Place.CHAT, "AutAccept", True)
    auto_accept_group: bool = _parm(_Place.CHAT, "AutAcceptGroupChat", True)
    chat_idle_s: int = _parm(_Place.CHAT, "TimerIdle", 300)
    max_chat_octets: int = _parm(_Place.CHAT, "MaxSize", 1_048_576, is_ambiguous=True)
    revoke_timer_s: int = _parm(_Place.CHAT, "ChatRevokeTimer", 0)  # 0: no fallback by the client
    reconnect_guard_s: int = _parm(_Place.CHAT, "reconnectGuardTimer", 0)
    waits_for_revocation: bool = _parm(_Place.CHAT, "cfsTrigger", True)  # SMS only after a successful revocation

    max_standalone_octets: int = _parm(_Place.STANDALONE, "MaxSize", 65_536, is_ambiguous=True)
    switchover_octets: int = _parm(_Place.STANDALONE, "SwitchoverSize", 1300)
    exploder_uri: str = _parm(_Place.STANDALONE, "exploder-uri", "")

    file_warn_kib: int = _parm(_Place.FILE_TRANSFER, "ftWarnSize", 10_240)
    file_max_kib: int = _parm(_Place.FILE_TRANSFER, "MaxSizeFileTr", 102_400)
    file_auto_accept: int = _parm(_Place.FILE_TRANSFER, "ftAutAccept", 1)
    file_upload_url: str = _parm(_Place.FILE_TRANSFER, "ftHTTPCSURI", "")
    file_download_url: str = _parm(_Place.FILE_TRANSFER, "ftHTTPDLURI", "")
    file_user: str = _parm(_Place.FILE_TRANSFER, "ftHTTPCSUser", "")
    file_password: Secret | None = field(
        default=None, metadata={"source": _Source(_Place.FILE_TRANSFER, "ftHTTPCSPwd")}
    )
    file_fallback: int = _parm(_Place.FILE_TRANSFER, "ftHTTPFallback", 0)

    chatbot_directory: str = _parm(_Place.CHATBOT, "ChatbotDirectory", "")
    chatbot_platform: str = _parm(_Place.CHATBOT, "BotinfoFQDNRoot", "")
    chatbot_technology: int = _parm(_Place.CHATBOT, "ChatbotMsgTech", 0)
    messaging_ux: int = _parm(_Place.UX, "messagingUX", 0)

    @property
    def standalone(self) -> StandaloneMessaging:
        """*standalone_auth* by its meaning; a value that is not known counts as off."""
        return StandaloneMessaging(self.standalone_auth) if self.standalone_auth in (1, 2) else StandaloneMessaging.OFF

    @property
    def encryption(self) -> EncryptionParameters | None:
        """What *extensions* say of the encryption layer (RCC.16 digest §1.4); None if they do not."""
        return EncryptionParameters.read(Characteristic("", self.extensions).find) if self.extensions else None

    def differs_in_encryption_only(self, other: RcsConfiguration) -> bool:
        """Whether both have encryption, and what else they say is the same."""
        if self.encryption is None or other.encryption is None:
            return False
        return replace(self, extensions=()) == replace(other, extensions=())

    @classmethod
    def from_document(cls, document: ProvisioningDocument) -> RcsConfiguration:
        """Names match without case, anywhere (digest §1.5). A value that cannot be read counts as absent."""
        index = _Index(document)
        members: dict[str, Any] = {}
        for member in fields(cls):
            source = member.metadata.get("source")
            text = None if source is None else index.text(source)
            if text is not None:
                members[member.name] = _read(text, member.default, member.name)
        auth_type, realm, user_name, password = index.credentials()
        return cls(
            msisdn=index.first("msisdn", "user"),
            public_identities=tuple(filter(None, index.all("public_user_identity")))[:MAX_LISTED],
            pcscf_addresses=tuple(index.pcscf_addresses())[:MAX_LISTED],
            auth_type=auth_type,
            realm=sys.intern(realm),
            user_name=user_name,
            password=password,
            extensions=(*index.extensions[:MAX_LISTED], *index.stray_encryption()),
            **members,
        )

    def characteristics(self) -> tuple[Characteristic, ...]:
        """USER and the two applications of digest §1.5: all of a full document but VERS, TOKEN and MSG."""
        user = (Characteristic.of("USER", {"msisdn": self.msisdn}),) if self.msisdn else ()
        return (*user, self._ims_application(), self._rcs_application())

    def _parms(self, place: _Place) -> tuple[Parm, ...]:
        written = ((m.metadata.get("source"), getattr(self, m.name)) for m in fields(self))
        pairs = (
            (source.name, _write(value)) for source, value in written if source is not None and source.place is place
        )
        return tuple(Parm(name, text) for name, text in pairs if text)

    def _ims_application(self) -> Characteristic:
        identities = (Characteristic.of("NODE", {"Public_User_Identity": uri}) for uri in self.public_identities)
        addresses = (
            Characteristic.of("NODE", {"Address": str(a), "AddressType": a.type}) for a in self.pcscf_addresses
        )
        transport = Characteristic("transportProto", self._parms(_Place.TRANSPORT))
        gsma = Characteristic(
            "GSMA",
            (
                Parm("AppRef", "IMS-Settings"),
                *self._credentials(),
                *self._parms(_Place.GSMA),
                *((transport,) if transport.children else ()),
            ),
        )
        return Characteristic(
            "APPLICATION",
            (
                *_application_head(IMS_APPLICATION, "IMS Settings", "IMS-Settings"),
                *self._parms(_Place.IMS),
                Characteristic("Public_User_Identity_List", tuple(identities)),
                Characteristic("LBO_P-CSCF_Address", tuple(addresses)),
                Characteristic("APPAUTH", self._credentials()),
                Characteristic.of("Ext", {}, gsma),
            ),
        )

    def _credentials(self) -> tuple[Parm, ...]:
        """Written twice on purpose: some readers look into APPAUTH only, others into Ext/GSMA (digest §1.5)."""
        pairs = (
            ("AuthType", self.auth_type),
            ("Realm", self.realm),
            ("UserName", self.user_name),
            ("UserPwd", _write(self.password)),
        )
        return tuple(Parm(name, value) for name, value in pairs if value)

    def _rcs_application(self) -> Characteristic:
        messaging = Characteristic(
            "MESSAGING",
            (
                *self._parms(_Place.MESSAGING),
                *(
                    Characteristic(place.value, self._parms(place))
                    for place in (_Place.CHAT, _Place.STANDALONE, _Place.FILE_TRANSFER, _Place.CHATBOT)
                ),
            ),
        )
        return Characteristic(
            "APPLICATION",
            (
                *_application_head(RCS_APPLICATION, "RCS settings", "RCS-Settings"),
                Parm("To-AppRef", "IMS-Settings"),
                Characteristic("SERVICES", self._parms(_Place.SERVICES)),
                Characteristic("CAPDISCOVERY", self._parms(_Place.CAPDISCOVERY)),
                messaging,
                Characteristic("CLIENTCONTROL", self._parms(_Place.CLIENT_CONTROL)),
                Characteristic("UX", self._parms(_Place.UX)),
                *self.extensions,
            ),
        )


def _application_head(app_id: str, name: str, reference: str) -> tuple[Parm, ...]:
    return Parm("AppID", app_id), Parm("Name", name), Parm("AppRef", reference)


def _write(value: object) -> str:
    """Value of a parm; "" for one that is left out."""
    match value:
        case None:
            return ""
        case bool():
            return str(int(value))
        case Secret():
            return value.octets.decode("utf-8", "surrogateescape")
    return str(value)


def _read(text: str, default: object, member: str) -> object:
    """*text* in the type of *default*; *default* if it cannot be read."""
    stripped = text.strip()
    if default is None:
        return Secret.of_text(text) if text else None
    if isinstance(default, str):
        return sys.intern(stripped)  # nearly all of them are the same on all phones of a carrier
    if isinstance(default, bool) and stripped.lower() in ("true", "false"):
        return stripped.lower() == "true"
    if not (stripped.isascii() and stripped.isdecimal() and len(stripped) <= 10):
        return default
    return bool(int(stripped)) if isinstance(default, bool) else int(stripped)


class _Index:
    """Every parm of a document by its name in lower case, read in one walk."""

    __slots__ = ("_parms", "extensions")

    def __init__(self, document: ProvisioningDocument) -> None:
        self._parms: defaultdict[str, list[tuple[tuple[str, ...], str]]] = defaultdict(list)
        self.extensions: list[Characteristic] = []
        for characteristic in document.characteristics:
            self._add(characteristic, ())

    def _add(self, characteristic: Characteristic, above: tuple[str, ...]) -> None:
        path = (*above, _path_element(characteristic))
        if characteristic.type.upper() in _PASSED_THROUGH:
            self.extensions.append(characteristic)
            return
        for child in characteristic.children:
            if isinstance(child, Parm):
                self._parms[child.name.lower()].append((path, child.value))
            else:
                self._add(child, path)

    def all(self, name: str, parent: str | None = None) -> Iterator[str]:
        return (value for path, value in self._parms.get(name, ()) if parent in (None, path[-1]))

    def first(self, name: str, parent: str) -> str:
        return next(self.all(name, parent), "")

    def text(self, source: _Source) -> str | None:
        """The parm under the parent that our documents use, else, unless ambiguous, wherever it stands."""
        name, parent = source.name.lower(), source.place.value.lower()
        found = next(self.all(name, parent), None)
        return found if found is not None or source.is_ambiguous else next(self.all(name), None)

    def stray_encryption(self) -> Iterator[Characteristic]:
        """The encryption parameters that stand outside of an extension, in one of their own."""
        if not self._parms.keys().isdisjoint(ENCRYPTION_PARAMETERS):
            found = {name: next(self.all(name)) for name in ENCRYPTION_PARAMETERS if name in self._parms}
            yield Characteristic.of("SERVICEPROVIDEREXT", found)

    def pcscf_addresses(self) -> Iterator[PcscfAddress]:
        for path, value in self._parms.get("address", ()):
            address = _read_address(value) if "lbo_p-cscf_address" in path else None
            if address is not None:
                yield address

    def credentials(self) -> tuple[str, str, str, Secret | None]:
        """AuthType, Realm, UserName, UserPwd or their aliases (``AAuthType`` ...), of one place: the first APPAUTH
        or Ext/GSMA that names a user, those of the IMS part before others; what it lacks, from wherever it stands."""
        places: dict[tuple[str, ...], dict[str, str]] = {(): {}}  # () has the first of each, wherever it stands
        for name in (alias for aliases in _CREDENTIALS for alias in aliases):
            for path, value in self._parms.get(name, ()):
                for place in ((), path) if value.strip() else ():
                    places.setdefault(place, {}).setdefault(name, value)
        ranked = sorted((p for p in places if p and p[-1] in _CREDENTIAL_PLACES), key=_credential_rank)
        chosen = next((places[path] for path in ranked if _first_of(_USER_NAME, places[path])), {})
        texts = [_first_of(aliases, chosen) or _first_of(aliases, places[()]) for aliases in _CREDENTIALS]
        auth_type, realm, user_name, password = texts
        known = next((each for each in AuthType if each.value.lower() == auth_type.lower()), auth_type)
        return known or AuthType.DIGEST, realm, user_name, Secret.of_text(password) if password else None


_read_address = lru_cache(maxsize=64)(PcscfAddress.parse)  # the phones of a carrier have the same


def _first_of(aliases: tuple[str, ...], values: dict[str, str]) -> str:
    return next((values[name] for name in aliases if name in values), "")


def _path_element(characteristic: Characteristic) -> str:
    """The type in lower case; an application is told from others by its AppID."""
    type_ = characteristic.type.lower()
    return f"application {(characteristic.own('AppID') or '').lower()}" if type_ == "application" else type_


def _credential_rank(path: tuple[str, ...]) -> tuple[bool, bool]:
    is_ims = any(mark in each for each in path for mark in _IMS_MARKS)
    return not is_ims, path[-1] != "appauth"


_CREDENTIAL_PLACES = ("appauth", "gsma")
_IMS_MARKS = (IMS_APPLICATION, "3gpp_ims", "3gpp-ims")
_USER_NAME = ("username", "aauthname")
_CREDENTIALS = (("authtype", "aauthtype"), ("realm", "aauthrealm"), _USER_NAME, ("userpwd", "aauthsecret"))
