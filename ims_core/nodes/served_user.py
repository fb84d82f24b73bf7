"""The users that an S-CSCF serves, and their bindings (RFC 3261 §10.3, RFC 5626 §6, TS 24.229 §5.4.1).

Ten thousand of them have to fit: texts are shared where they can be, and nothing parsed is kept."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, TypeAlias

from ims_core.cx import UserProfile
from ims_core.nodes.filter_criteria import CriteriaIndex
from ims_core.nodes.registration_state import (
    LINES,
    RegistrationAction,
    RegistrationInput,
    RegistrationState,
    next_state,
)
from ims_core.store.bindings import StoredBinding
from ims_core.wire.sip.address_headers import Contact
from ims_core.wire.sip.dialog import Dialog
from ims_core.wire.sip.feature_tags import FeatureSet, is_feature_tag
from ims_core.wire.sip.memo import Memo
from ims_core.wire.sip.message import Request
from ims_core.wire.sip.params import Params, parse_header_params
from ims_core.wire.sip.subscription import Notifier
from ims_core.wire.sip.uri import SipUri, TelUri, Uri, parse_uri

__all__ = ["FULL_Q", "Binding", "RegSubscription", "ServedUser", "UserTable", "binding_key", "features_of"]

FULL_Q = 1000  # q is kept in thousandths
_INSTANCE: Final = "+sip.instance"
_INSTANCE_AS_USUAL: Final = ';+sip.instance="<'
_END_OF_INSTANCE: Final = '>"'
_BEHIND_PARAMETER: Final = ("", ";")


class Binding:
    """One contact of a user. *key* tells it from his others; *order* is the place in time of its last REGISTER."""

    __slots__ = (
        *("call_id", "contact", "cseq", "expires_at", "has_outbound", "impi", "instance", "key", "number", "order"),
        *("path", "q", "reg_id", "registered_at", "tags", "told"),
    )

    key: str
    impi: str
    contact: str
    tags: str
    path: tuple[str, ...]
    call_id: str
    cseq: int
    registered_at: float
    expires_at: float
    instance: str
    reg_id: int
    q: int
    has_outbound: bool
    told: tuple[str, ...]

    def __init__(self, record: StoredBinding | Binding, number: int = 0) -> None:
        """*number* names it in reginfo; 0 while it is only asked for."""
        self.number = number
        self.order = number
        self.update(record)

    @classmethod
    def asked_for(
        cls,
        request: Request,
        contact: Contact,
        *,
        impi: str,
        path: tuple[str, ...],
        now: float,
        has_outbound: bool = False,
    ) -> Binding:
        """What a REGISTER asks for with one *contact*; expiry and outbound are the registrar's to decide."""
        binding = cls.__new__(cls)
        instance, others = _instance_and_others(contact)
        tags, reg_id, q = _traits[others] if instance or others else _NO_TRAITS
        binding.instance, binding.reg_id, binding.q, binding.tags = instance, reg_id, q, tags
        binding.number = binding.order = 0
        binding.key = f"{instance} {reg_id if has_outbound else 0}" if instance else binding_key(contact, False)
        binding.impi, binding.path = impi, path
        binding.contact = str(contact.uri)
        binding.call_id, binding.cseq = request.call_id, request.cseq.number
        binding.registered_at = binding.expires_at = now
        binding.has_outbound, binding.told = has_outbound, ()
        return binding

    def update(self, record: StoredBinding | Binding) -> None:
        """Takes over everything from *record* but the number."""
        self.key, self.impi, self.contact = record.key, record.impi, record.contact
        self.tags, self.path = sys.intern(record.tags), record.path
        self.call_id, self.cseq = record.call_id, record.cseq
        self.registered_at, self.expires_at = record.registered_at, record.expires_at
        self.instance, self.reg_id, self.q = record.instance, record.reg_id, record.q
        self.has_outbound, self.told = record.has_outbound, record.told

    def to_record(self, owner: str) -> StoredBinding:
        return StoredBinding(
            owner=owner,
            key=self.key,
            impi=self.impi,
            contact=self.contact,
            tags=self.tags,
            path=self.path,
            call_id=self.call_id,
            cseq=self.cseq,
            registered_at=self.registered_at,
            expires_at=self.expires_at,
            instance=self.instance,
            reg_id=self.reg_id,
            q=self.q,
            has_outbound=self.has_outbound,
            told=self.told,
        )

    def pub_gruu(self, impu: str) -> str | None:
        """Public GRUU of the instance (RFC 5627 §3.1); None for a contact without one, or if *impu* is no SIP URI."""
        if not self.instance or not impu.startswith("sip"):
            return None
        return f"{impu};gr={self.instance}"

    def features(self) -> FeatureSet:
        """Its feature tags; the instance is one of them (RFC 5626 §4.1)."""
        return features_of(self.tags)


_Traits: TypeAlias = tuple[str, int, int]  # feature tags as text, reg-id, q in thousandths
_NO_TRAITS: Final[_Traits] = ("", 0, FULL_Q)


def _instance_and_others(contact: Contact) -> tuple[str, str]:
    """The instance, and the text of the other parameters, which few models of phones share among them."""
    text = contact.params.received_text
    before, found, rest = text.partition(_INSTANCE_AS_USUAL)
    instance, end, after = rest.partition(_END_OF_INSTANCE)
    others = before + after
    is_usual = found and end and '"' not in instance and "\\" not in instance and after[:1] in _BEHIND_PARAMETER
    if is_usual and _INSTANCE not in others.lower():
        return instance, others
    kept = [(name, value) for name, value in contact.params.pairs if name.lower() != _INSTANCE]
    return contact.instance or "", str(Params(tuple(kept)))


def _read_traits(text: str) -> _Traits:
    contact = Contact(None, _NOBODY, parse_header_params(text))
    tags, reg_id, q = "", 0, FULL_Q
    for name, value in contact.params.pairs:
        word = name.lower()
        if word[0] == "+" or is_feature_tag(word):
            tags += f";{name}" if value is None else f";{name}={value}"
        elif word == "reg-id":
            reg_id = contact.reg_id or 0
        elif word == "q":
            q = int(contact.q * FULL_Q)
    return sys.intern(tags), reg_id, q


_NOBODY: Final = parse_uri("sip:nobody.invalid")
_traits: Memo[_Traits] = Memo(_read_traits)


class RegSubscription:
    """One subscription to the reg event of a user (RFC 3680). *event* is what Event says, *version* that of the next
    document."""

    __slots__ = ("dialog", "event", "notifier", "user", "version")

    def __init__(self, user: ServedUser, dialog: Dialog, notifier: Notifier, event: str, version: int = 0) -> None:
        self.user = user
        self.dialog = dialog
        self.notifier = notifier
        self.event = event
        self.version = version


class ServedUser:
    """One implicit registration set that this S-CSCF has a profile of, registered or not."""

    __slots__ = ("bindings", "challenged_until", "criteria", "failures", "impi", "impus", "is_barred",
                 "keys", "number", "profile", "services", "state", "subscriptions")  # fmt: skip

    def __init__(self, profile: UserProfile, criteria: CriteriaIndex, number: int) -> None:
        self.number = number
        self.state = RegistrationState.NOT_REGISTERED
        self.bindings: list[Binding] = []
        self.subscriptions: list[RegSubscription] | None = None
        self.failures = 0
        self.challenged_until = 0.0
        self.take_profile(profile, criteria)

    def take_profile(self, profile: UserProfile, criteria: CriteriaIndex) -> None:
        """From the HSS: at registration, or when it changed."""
        self.profile = profile
        self.impi = profile.impi
        self.impus = profile.impus
        self.keys = profile.keys
        self.is_barred = profile.is_barred
        self.services = profile.services
        self.criteria = criteria

    @property
    def default_impu(self) -> str:
        return self.impus[0]

    @property
    def is_registered(self) -> bool:
        return bool(self.bindings)

    def step(self, event: RegistrationInput) -> RegistrationAction | None:
        """One line of the registration table; None for an input that is ignored."""
        line = LINES.get((self.state, event)) or next_state(self.state, event)
        if line is None:
            return None
        self.state, action = line
        return action

    def binding(self, key: str) -> Binding | None:
        return next((binding for binding in self.bindings if binding.key == key), None)

    def binding_at(self, contact: Contact) -> Binding | None:
        """The binding with that address: a de-registration may come with a bare Contact (real-clients row 5)."""
        text = str(contact.uri)
        for binding in self.bindings:
            if binding.contact == text or parse_uri(binding.contact).same_as(contact.uri):
                return binding
        return None

    def sip_impu(self) -> str | None:
        """The first IMPU that is a SIP URI: what GRUUs are made of."""
        for impu in self.impus:
            if impu.startswith("sip"):
                return impu
        return None

    def other_identity(self, identity: Uri) -> str | None:
        """A tel IMPU beside a sip one and the other way round: the second P-Asserted-Identity (TS 24.229 §5.4.3.2)."""
        is_tel = isinstance(identity, TelUri)
        return next((impu for impu in self.impus if impu.startswith("tel:") is not is_tel), None)


class UserTable:
    """The served users by identity key and by number, with shared criteria."""

    __slots__ = ("_by_key", "_by_number", "_criteria", "_next_binding", "_next_number")

    def __init__(self) -> None:
        self._by_key: dict[str, ServedUser] = {}
        self._by_number: dict[int, ServedUser] = {}
        self._criteria: dict[int, CriteriaIndex] = {}
        self._next_number = 0
        self._next_binding = 0

    def __len__(self) -> int:
        return len(self._by_number)

    def get(self, key: str) -> ServedUser | None:
        """By identity key of one of the IMPUs."""
        return self._by_key.get(key)

    def by_number(self, number: int) -> ServedUser | None:
        return self._by_number.get(number)

    def take(self, profile: UserProfile) -> ServedUser:
        """The user with *profile*, made if this is the first time; a change of the profile is taken over."""
        user = self._by_key.get(profile.keys[0])
        if user is not None and user.profile is profile:  # nothing changed
            return user
        criteria = self._criteria.get(id(profile.service_profile))
        if criteria is None or criteria.profile is not profile.service_profile:
            criteria = self._criteria[id(profile.service_profile)] = CriteriaIndex(profile.service_profile)
        if user is None:
            self._next_number += 1
            user = ServedUser(profile, criteria, self._next_number)
            self._by_number[user.number] = user
        else:
            user.take_profile(profile, criteria)
        for key in profile.keys:
            self._by_key[key] = user
        return user

    def new_binding(self, record: StoredBinding | Binding) -> Binding:
        self._next_binding += 1
        return Binding(record, self._next_binding)

    def take_binding(self, asked: Binding) -> Binding:
        """What was *asked* for becomes a binding of its own."""
        self._next_binding += 1
        asked.number = asked.order = self._next_binding
        return asked

    def next_order(self) -> int:
        self._next_binding += 1
        return self._next_binding

    def users(self) -> Iterable[ServedUser]:
        return tuple(self._by_number.values())


def binding_key(contact: Contact, has_outbound: bool) -> str:
    """What makes two REGISTERs speak of one binding: the instance with its reg-id (RFC 5626 §6), the instance alone
    (choice: a device that comes back under another address is the same one), else the contact address."""
    instance = contact.instance
    if instance:
        return f"{instance} {contact.reg_id or 0 if has_outbound else 0}"
    uri = contact.uri
    if isinstance(uri, SipUri):
        transport = uri.params.get("transport") or ""
        return f"{uri.user or ''}@{uri.host.lower()}:{uri.port or 5060};{transport.lower()}"
    return str(uri)


@lru_cache(1024)
def features_of(tags: str) -> FeatureSet:
    """Feature tags out of Contact parameters."""
    return FeatureSet.of_params(parse_header_params(tags))
