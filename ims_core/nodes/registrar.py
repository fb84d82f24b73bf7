"""The registrar of an S-CSCF (RFC 3261 §10.3, TS 24.229 §5.4.1; digest §15.3)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from ims_core.cx import AssignmentType, Cx, CxResult, DeregistrationReason, UserProfile
from ims_core.nodes.deadlines import Deadlines
from ims_core.nodes.decision import Answer, Decision, Defer, Delete, Persist, Put, Reject
from ims_core.nodes.filter_criteria import holds
from ims_core.nodes.registration_authenticator import Examination, RegistrationAuthenticator
from ims_core.nodes.registration_state import RegistrationAction, RegistrationInput, RegistrationState
from ims_core.nodes.scscf_config import ScscfConfig
from ims_core.nodes.served_user import FULL_Q, Binding, ServedUser, UserTable, binding_key
from ims_core.service_profile import FilterCriteria
from ims_core.store.bindings import BINDINGS, StoredBinding, binding_record_key
from ims_core.store.subscribers import SEQUENCE_NUMBERS
from ims_core.wire.digest import DigestCredentials, DigestParseError
from ims_core.wire.sip.address_headers import Contact, Path, To
from ims_core.wire.sip.core_headers import Expires, Require, Supported
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.uri import identity_key, parse_uri

__all__ = ["Consequences", "ContactChange", "NotifyWatchers", "Registrar", "TellServers", "identity_key_of"]

Consequences: TypeAlias = tuple[tuple[object, ...], tuple[Persist, ...]]
"""Actions to carry out and records to store, when no request waits for them."""

_SUPPORTED = frozenset(("path", "gruu", "outbound"))
_TAG_KEY_OCTETS = 16
_TAG_OCTETS = 8
_MAX_CONTACTS = 8  # in one REGISTER
_REFUSALS = {CxResult.UNABLE_TO_COMPLY: 480}  # what is not named is 403


@dataclass(frozen=True, slots=True)
class ContactChange:
    """What became of one binding, in the words of RFC 3680 §5.3.2."""

    binding: Binding
    event: str
    retry_after_s: int | None = None


@dataclass(frozen=True, slots=True)
class TellServers:
    """Send third-party REGISTERs (TS 24.229 §5.4.1.7). *expires_s* 0: the user's last contact is gone. *register* and
    *answer* are embedded where they are known."""

    user: ServedUser
    criteria: tuple[FilterCriteria, ...]
    expires_s: int
    register: Request | None = None
    answer: Response | None = None


@dataclass(frozen=True, slots=True)
class NotifyWatchers:
    """Tell the subscribers to the reg event of *user*. *ended* is set when the registration as a whole is over."""

    user: ServedUser
    changes: tuple[ContactChange, ...]
    ended: DeregistrationReason | None = None


class _Plan:
    """What one REGISTER does to the bindings."""

    __slots__ = ("added", "refreshed", "removed")

    def __init__(self) -> None:
        self.added: list[Binding] = []
        self.refreshed: list[tuple[Binding, Binding]] = []
        self.removed: list[Binding] = []

    def known(self) -> list[Binding]:
        """The bindings that were there before and that it changes."""
        return [*self.removed, *[binding for binding, _ in self.refreshed]] if self.refreshed else self.removed


class Registrar:
    """Decision core. *service_route* is the value of Service-Route; *octets* is the source of randomness,
    *new_tag* that of To tags."""

    def __init__(
        self,
        config: ScscfConfig,
        cx: Cx,
        *,
        service_route: str,
        octets: Callable[[int], bytes],
        new_tag: Callable[[], str],
        is_durable: bool = False,
    ) -> None:
        self.users = UserTable()
        self.deadlines: Deadlines[tuple[int, int]] = Deadlines()
        self._config = config
        self._cx = cx
        self._home = (config.home_domain.lower(),)
        self._service_route = service_route
        self._new_tag = new_tag
        self._tag_key = octets(_TAG_KEY_OCTETS)
        self._is_durable = is_durable  # whether there is a store to write to
        self._authenticator = RegistrationAuthenticator(
            cx, octets, await_auth_s=config.await_auth_s, granted_s=config.granted_s
        )

    # --- REGISTER ----------------------------------------------------------------------------------------------------

    def register(self, request: Request, now: float) -> Decision:
        """Answers a REGISTER. Raises SipParseError for a malformed header."""
        there = request.shape.first
        if "require" in there and (required := request.get(Require)) is not None:
            unknown = [tag for tag in required.tokens if tag.lower() not in _SUPPORTED]
            if unknown:
                return Reject(420, headers=(("Unsupported", ", ".join(unknown)),))
        to = request.get(To)
        key = identity_key((to or request.require(To)).uri, self._home)
        user = self.users.get(key) or self.user_of(key)
        if user is None:
            return Reject(404 if self._cx.location_info(key).result is not CxResult.UNABLE_TO_COMPLY else 480)
        if user.is_barred:
            return Reject(403)
        try:
            credentials = _credentials(request) if "authorization" in there else None
        except DigestParseError as error:
            return Reject(400, str(error)[:60].partition(":")[0])
        if 0.0 < user.challenged_until <= now:
            self._expire_challenge(user)
        found = self._authenticator.examine(user.impi, key, credentials, now)
        if found.event is RegistrationInput.AUTHENTIC and credentials is not None:
            return self._accept(request, user, credentials, found, now)
        return self._refuse(request, user, key, credentials, found, now)

    def user_of(self, key: str) -> ServedUser | None:
        """The user with that identity key; his profile is fetched if he is not served yet. None if there is no such."""
        user = self.users.get(key)
        if user is None and key:
            profile = self._cx.server_assignment(key, AssignmentType.NO_ASSIGNMENT, self._config.uri).profile
            user = None if profile is None else self.users.take(profile)
        return user

    def _expire_challenge(self, user: ServedUser) -> None:
        user.challenged_until = 0.0
        user.failures = 0
        user.step(RegistrationInput.AWAIT_AUTH_EXPIRED)

    def _refuse(
        self,
        request: Request,
        user: ServedUser,
        key: str,
        credentials: DigestCredentials | None,
        found: Examination,
        now: float,
    ) -> Decision:
        """401 or 403."""
        event = found.event
        if event is RegistrationInput.WRONG:
            user.failures += 1
            if user.failures >= self._config.max_auth_failures:
                event = RegistrationInput.WRONG_AGAIN
                user.failures = 0
        action = user.step(event)
        answer = found.answer
        if action is RegistrationAction.REJECT:
            return Reject(403)
        if action is RegistrationAction.RESYNCHRONISE and credentials is not None:
            answer = self._authenticator.resynchronise(key, credentials)
        is_stale = action is RegistrationAction.CHALLENGE_STALE
        answer, challenge = self._authenticator.challenge(key, credentials, answer, now, is_stale=is_stale)
        if challenge is None:
            return Reject(_REFUSALS.get(answer.result, 403))
        user.challenged_until = now + self._config.await_auth_s
        is_stateless = event is RegistrationInput.UNPROVEN and answer.vector is None
        tag = self._tag_for(request) if is_stateless else self._new_tag()
        response = Response.to(request, 401, to_tag=tag, headers=(("WWW-Authenticate", challenge),))
        if answer.changed is None or not self._is_durable:
            return Answer(response, (), is_stateless)
        return Defer((Put(SEQUENCE_NUMBERS, answer.changed),), Answer(response))

    def _tag_for(self, request: Request) -> str:
        """The same for a request that comes again: whoever has not proven himself yet costs no transaction, only the
        next nonce (RFC 3261 §8.2.7). A challenge of AKA uses up a sequence number: that one is remembered (choice)."""
        octets = "\n".join(request.first_lines("via", "call-id")).encode("utf-8", "surrogateescape")
        return hashlib.blake2s(octets, key=self._tag_key, digest_size=_TAG_OCTETS).hexdigest()

    def _accept(
        self, request: Request, user: ServedUser, credentials: DigestCredentials, found: Examination, now: float
    ) -> Decision:
        supported = request.get(Supported)
        plan = self._plan(request, user, supported, now)
        if isinstance(plan, Reject):
            return plan
        was_registered = bool(user.bindings)
        told = _told_of(plan.known()) if was_registered else frozenset()
        concerned = self._criteria_for(request, user) if user.criteria.for_registration else []
        changes, writes = self._apply(user, plan, concerned)
        is_registered = bool(user.bindings)
        user.failures = 0
        user.challenged_until = 0.0
        user.step(RegistrationInput.AUTHENTIC if is_registered else RegistrationInput.AUTHENTIC_AND_GONE)
        if was_registered is not is_registered:
            self._assign(user, was_registered)
        with_gruu = supported is not None and ("gruu" in supported.tokens or "gruu" in supported)
        response = self._success(request, user, with_gruu, credentials, found.ha1, now)
        actions: tuple[object, ...] = ()
        if concerned or told or user.subscriptions:
            actions = self._announce(request, response, user, changes, told, now)
        answer = Answer(response, actions)
        return Defer(writes, answer) if writes else answer

    def _assign(self, user: ServedUser, was_registered: bool) -> None:
        """SAR: tells the HSS of a change, and takes in the profile that it sends back."""
        kind = AssignmentType.USER_DEREGISTRATION if was_registered else AssignmentType.REGISTRATION
        answer = self._cx.server_assignment(user.keys[0], kind, self._config.uri)
        if answer.profile is not None and answer.profile is not user.profile:
            self.users.take(answer.profile)

    # --- bindings ----------------------------------------------------------------------------------------------------

    def _plan(self, request: Request, user: ServedUser, supported: Supported | None, now: float) -> _Plan | Reject:
        """What the REGISTER asks for, checked; nothing has changed yet (RFC 3261 §10.3 steps 6 and 7)."""
        contacts = request.get_all(Contact)
        expires = request.get(Expires)
        plan: _Plan | Reject
        if len(contacts) > _MAX_CONTACTS:
            return Reject(400, f"More than {_MAX_CONTACTS} Contacts")
        if [contact for contact in contacts if contact.uri.scheme == "*"]:
            if len(contacts) > 1 or expires is None or expires.seconds:
                return Reject(400, "Contact * needs Expires 0 and no other Contact")
            plan = _Plan()
            plan.removed += user.bindings
        else:
            default_s = self._config.granted_s if expires is None else expires.seconds
            plan = self._plan_contacts(request, user, contacts, supported, default_s, now)
        if user.bindings and not isinstance(plan, Reject) and (known := plan.known()):
            call_id, number = request.call_id, request.cseq.number
            if any([binding.call_id == call_id and binding.cseq >= number for binding in known]):
                return Reject(500, "CSeq is not higher than before")
        return plan

    def _plan_contacts(
        self,
        request: Request,
        user: ServedUser,
        contacts: Iterable[Contact],
        supported: Supported | None,
        default_s: int,
        now: float,
    ) -> _Plan | Reject:
        config, plan = self._config, _Plan()
        path = tuple([str(each) for each in request.get_all(Path)]) if "path" in request.shape.first else ()
        takes_outbound = bool(path) and _takes_outbound(supported, path)
        for contact in contacts:
            own_s = contact.expires
            requested_s = default_s if own_s is None else own_s
            has_outbound = takes_outbound and contact.reg_id is not None and bool(contact.instance)
            if requested_s == 0:
                known = user.binding(binding_key(contact, has_outbound)) or user.binding_at(contact)
                plan.removed += [known] if known is not None else []
                continue
            if requested_s < config.min_s:
                return Reject(423, headers=(("Min-Expires", str(config.min_s)),))
            asked = Binding.asked_for(request, contact, impi=user.impi, path=path, now=now, has_outbound=has_outbound)
            known = (user.binding(asked.key) or user.binding_at(contact)) if user.bindings else None
            asked.expires_at = now + (requested_s if requested_s < config.granted_s else config.granted_s)
            if known is not None:
                plan.refreshed.append((known, asked))
            elif len(user.bindings) + len(plan.added) < config.max_bindings:
                plan.added.append(asked)
            else:
                return Reject(403, "Too many contacts")
        return plan

    def _apply(
        self, user: ServedUser, plan: _Plan, concerned: list[FilterCriteria]
    ) -> tuple[list[ContactChange], tuple[Persist, ...]]:
        """Carries out *plan*; what changed, and what has to be stored. *concerned* are to be told."""
        changes: list[ContactChange] = []
        writes: list[Persist] = []
        told = tuple([criterion.name for criterion in concerned]) if concerned else ()
        for binding in plan.removed:
            self._remove(user, binding)
            changes.append(ContactChange(binding, "unregistered"))
            writes += self._deletions(user, [binding])
        for binding, asked in plan.refreshed:
            if binding.key != asked.key:
                writes += self._deletions(user, [binding])
            asked.told = told
            binding.update(asked)
            binding.order = self.users.next_order()
            writes += self._keep(user, binding)
        for asked in plan.added:
            asked.told = told
            binding = self.users.take_binding(asked)
            user.bindings.append(binding)
            if user.subscriptions:
                changes.append(ContactChange(binding, "registered"))
            writes += self._keep(user, binding)
        return changes, tuple(writes)

    def _keep(self, user: ServedUser, binding: Binding) -> tuple[Persist, ...]:
        self.deadlines.set((user.number, binding.number), binding.expires_at)
        return (Put(BINDINGS, binding.to_record(user.default_impu)),) if self._is_durable else ()

    def _remove(self, user: ServedUser, binding: Binding) -> None:
        user.bindings.remove(binding)
        self.deadlines.remove((user.number, binding.number))

    def _deletions(self, user: ServedUser, bindings: Iterable[Binding]) -> tuple[Persist, ...]:
        if not self._is_durable:
            return ()
        owner = user.default_impu
        return tuple(Delete(BINDINGS, binding_record_key(owner, binding.key)) for binding in bindings)

    # --- the 200 and what follows it ---------------------------------------------------------------------------------

    def _success(
        self, request: Request, user: ServedUser, with_gruu: bool, credentials: DigestCredentials, ha1: str, now: float
    ) -> Response:
        bindings = user.bindings
        gruu_of = user.sip_impu() if with_gruu else None
        headers: list[tuple[str, str]] = []
        is_outbound = False
        for binding in bindings:
            headers.append(("Contact", _contact(binding, gruu_of, now)))
            is_outbound |= binding.has_outbound and binding.call_id == request.call_id
        if bindings:
            if is_outbound:
                headers.append(("Require", "outbound"))
            if "path" in request.shape.first:
                headers += [("Path", path) for path in request.texts("Path")]
            headers.append(("Service-Route", self._service_route))
            headers.append(("P-Associated-URI", f"<{'>, <'.join(user.impus)}>"))
        headers.append(("Authentication-Info", self._authenticator.server_proof(credentials, ha1)))
        headers.append(("Supported", "path, gruu, outbound"))
        return Response.to(request, 200, to_tag=self._new_tag(), headers=headers)

    def _announce(
        self,
        request: Request,
        response: Response,
        user: ServedUser,
        changes: list[ContactChange],
        told_before: frozenset[str],
        now: float,
    ) -> tuple[object, ...]:
        """Third-party REGISTERs to all who are concerned, also those whose tags this REGISTER no longer has (digest
        §16); the reg event."""
        actions: list[object] = []
        criteria = self._named(user, told_before.union([each.name for each in self._criteria_for(request, user)]))
        if criteria:
            actions.append(TellServers(user, criteria, self.remaining_s(user, now), request, response))
        if changes and user.subscriptions:
            ended = None if user.bindings else DeregistrationReason.UNREGISTERED
            actions.append(NotifyWatchers(user, tuple(changes), ended))
        return tuple(actions)

    def _criteria_for(self, request: Request, user: ServedUser) -> list[FilterCriteria]:
        return [criterion for criterion in user.criteria.for_registration if holds(criterion, request)]

    def _named(self, user: ServedUser, names: frozenset[str] | set[str]) -> tuple[FilterCriteria, ...]:
        if not names:
            return ()
        return tuple(criterion for criterion in user.criteria.for_registration if criterion.name in names)

    def remaining_s(self, user: ServedUser, now: float) -> int:
        """Lifetime of the user's longest binding."""
        return max([round(binding.expires_at - now) for binding in user.bindings], default=0)

    # --- the end of a binding without a REGISTER ---------------------------------------------------------------------

    def handle_deadline(self, now: float) -> Consequences:
        """Bindings whose time is over: actions, and what has to be stored."""
        actions: list[object] = []
        writes: list[Persist] = []
        for user_number, binding_number in self.deadlines.pop_due(now):
            user = self.users.by_number(user_number)
            gone = [each for each in user.bindings if each.number == binding_number] if user is not None else []
            if user is not None and gone:
                more, deletions = self._end(user, gone, "expired", RegistrationInput.BINDINGS_GONE, now)
                actions += more
                writes += deletions
        return tuple(actions), tuple(writes)

    def flow_failed(self, user: ServedUser, binding: Binding, now: float) -> Consequences:
        """The P-CSCF answered 430: the binding is of no use any more (RFC 5626 §6, digest §15.3)."""
        if binding not in user.bindings:
            return (), ()
        return self._end(user, [binding], "deactivated", RegistrationInput.BINDINGS_GONE, now)

    def deregister(self, user: ServedUser, reason: DeregistrationReason, now: float) -> Consequences:
        """Network-initiated de-registration (TS 24.229 §5.4.1.5)."""
        retry_after_s = self._config.probation_s if reason is DeregistrationReason.PROBATION else None
        gone = list(user.bindings)
        return self._end(user, gone, reason.value, RegistrationInput.DEREGISTERED, now, reason, retry_after_s)

    def _end(
        self,
        user: ServedUser,
        gone: list[Binding],
        event: str,
        if_last: RegistrationInput,
        now: float,
        reason: DeregistrationReason | None = None,
        retry_after_s: int | None = None,
    ) -> Consequences:
        told = self._named(user, _told_of(gone))
        writes = self._deletions(user, gone)
        for binding in gone:
            self._remove(user, binding)
        if not user.bindings and gone:
            user.step(if_last)
            kind = (
                AssignmentType.TIMEOUT_DEREGISTRATION
                if reason is None
                else AssignmentType.ADMINISTRATIVE_DEREGISTRATION
            )
            self._cx.server_assignment(user.keys[0], kind, self._config.uri)
        actions: list[object] = []
        if told:
            actions.append(TellServers(user, told, self.remaining_s(user, now)))
        if user.subscriptions:
            changes = tuple(ContactChange(binding, event, retry_after_s) for binding in gone)
            ended = None if user.bindings else reason or DeregistrationReason.UNREGISTERED
            actions.append(NotifyWatchers(user, changes, ended))
        return tuple(actions), writes

    # --- restart -----------------------------------------------------------------------------------------------------

    def restore(self, record: StoredBinding, now: float) -> bool:
        """Takes in a binding of an earlier run. False if it has run out meanwhile, or its user has left."""
        key = identity_key_of(record.owner, self._home)
        user = self.user_of(key)
        if user is None or record.expires_at <= now or user.binding(record.key) is not None:
            return False
        binding = self.users.new_binding(record)
        user.bindings.append(binding)
        user.state = RegistrationState.REGISTERED
        self.deadlines.set((user.number, binding.number), binding.expires_at)
        self._cx.server_assignment(key, AssignmentType.REGISTRATION, self._config.uri)
        return True

    def take_profile(self, profile: UserProfile) -> None:
        """PPR."""
        if self.users.get(profile.keys[0]) is not None:
            self.users.take(profile)


def identity_key_of(identity: str, home: tuple[str, ...]) -> str:
    """Identity key of a URI text. Raises SipParseError."""
    return identity_key(parse_uri(identity), home)


def _contact(binding: Binding, gruu_of: str | None, now: float) -> str:
    """Value of a Contact in the 200. *gruu_of* is the IMPU for the public GRUU, if one is wanted."""
    instance = binding.instance
    text = f'<{binding.contact}>;+sip.instance="<{instance}>"' if instance else f"<{binding.contact}>"
    if binding.has_outbound:
        text += f";reg-id={binding.reg_id}"
    if binding.q != FULL_Q:
        text += f";q={binding.q / FULL_Q:g}"
    gruu = None if gruu_of is None else binding.pub_gruu(gruu_of)
    if gruu is not None:
        text += f';pub-gruu="{gruu}"'
    return f"{text};expires={max(0, round(binding.expires_at - now))}"


def _credentials(request: Request) -> DigestCredentials | None:
    """None without Authorization, and for a scheme other than Digest. Raises DigestParseError."""
    text = request.text("Authorization")
    if text is None or not text[:7].lower().startswith("digest"):
        return None
    return DigestCredentials.parse(text)


def _takes_outbound(supported: Supported | None, path: tuple[str, ...]) -> bool:
    """Whether RFC 5626 applies: the UE supports it, and so does the first hop (RFC 5626 §6)."""
    return supported is not None and "outbound" in supported and any([";ob" in each for each in path])


def _told_of(bindings: Iterable[Binding]) -> frozenset[str]:
    return frozenset([name for binding in bindings for name in binding.told])
