"""``mls.``: messages, requests and fan-outs of encrypted conversations that are lost, late, stale or forged."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace

from rcs_sim.client.e2ee.claims import ClaimFailed, Claims
from rcs_sim.client.e2ee.mls_encryption import MlsEncryption
from rcs_sim.client.identity import ContactKey
from rcs_sim.client.phone import Phone
from rcs_sim.e2ee.client_message import ClientMlsRcsMessage
from rcs_sim.e2ee.content_types import MLS_NAMESPACE
from rcs_sim.e2ee.member.encrypted_conversation import EncryptedConversation
from rcs_sim.e2ee.member.operations import PendingOperation
from rcs_sim.e2ee.mls_headers import MlsHeaders
from rcs_sim.e2ee.server_message import CommitBundle
from rcs_sim.scenario.faults.active_fault import ActiveFault
from rcs_sim.scenario.faults.content_faults import as_another_message
from rcs_sim.scenario.faults.fault_kind import FaultError, FaultKind, KeyKind, Occasion, Reach, ScopeKey
from rcs_sim.scenario.faults.link_scope import OF, passed
from rcs_sim.scenario.faults.mls_passing import (
    flipped,
    focus_bundle,
    focus_request,
    rewritten,
    sealed_message,
    spoiled,
)
from rcs_sim.scenario.faults.passing import Line, Passing
from rcs_sim.scenario.faults.places import one_phone
from rcs_sim.wire.cpim import CpimMessage
from rcs_sim.wire.cpim_header import IMDN, CpimHeader

__all__ = ["MLS_FAULTS", "encryption_of", "replayed"]

_AUTHENTICATOR_OCTETS = 32
_DROPPED = {
    "era": ("Era-ID",),
    "authenticator": ("Epoch-Authenticator",),
    "both": ("Era-ID", "Epoch-Authenticator"),
}
_SENDER = replace(OF, is_required=True, meaning="what this phone sends")
_RECEIVER = replace(OF, is_required=True, meaning="what this phone should get")
_LATER = "later ones get through; what the phone misses it has to repair itself"

_Act = Callable[[ActiveFault, Passing], bytes | None]
"""What goes on of a message; the same octets if the fault does not act on it."""


def _on_content(fault: ActiveFault, act: _Act, *, sent: bool) -> None:
    """*act* sees what the phone of the scope sends, or gets."""
    name = fault.scope["of"]

    def apply(passing: Passing) -> bytes | None:
        end = passing.source if sent else passing.target
        return act(fault, passing) if end == name else passing.octets

    fault.undo.callback(fault.sim.faults.tap.add((Line.CONTENT,), apply))


def _kind(
    word: str,
    meaning: str,
    clause: str,
    act: _Act,
    *,
    sent: bool,
    reversal: str,
    keys: tuple[ScopeKey, ...] = (),
    example: dict[str, object] | None = None,
) -> FaultKind:
    async def begin(fault: ActiveFault) -> None:
        _on_content(fault, act, sent=sent)

    return FaultKind(
        word=word,
        meaning=meaning,
        clause=clause,
        reversal=reversal,
        begin=begin,
        keys=(_SENDER if sent else _RECEIVER, *keys),
        example={"of": "bob", **(example or {})},
        reach=Reach.LINKS,
        occasion=Occasion.EACH,
    )


# --- what the focus fans out ------------------------------------------------------------------------------------------


def _drop_commit(fault: ActiveFault, passing: Passing) -> bytes | None:
    bundle = focus_bundle(passing)
    if bundle is None or not bundle.commit or bundle.welcome or not fault.happens():
        return passing.octets
    passing.answer_whole()
    passed(fault, "commit lost", passing)
    return None


def _drop_welcome(fault: ActiveFault, passing: Passing) -> bytes | None:
    bundle = focus_bundle(passing)
    if bundle is None or not bundle.welcome or not fault.happens():
        return passing.octets
    passing.answer_whole()
    passed(fault, "Welcome lost", passing)
    return None


def _late_welcome(fault: ActiveFault, passing: Passing) -> bytes | None:
    bundle = focus_bundle(passing)
    if bundle is None or not bundle.welcome or not fault.happens():
        return passing.octets
    passing.answer_whole()
    delay_s = fault.scope.seconds("delay_s")
    passing.send(as_another_message(passing, f"late{fault.number}x{fault.acts}"), after_s=delay_s)
    passed(fault, "Welcome held back", passing, delay_s=delay_s)
    return None


def _fork(fault: ActiveFault, passing: Passing) -> bytes | None:
    """The phone is told another state than the others have: two histories, by one focus."""
    bundle = focus_bundle(passing)
    if bundle is None or not bundle.epoch_authenticator or not fault.happens():
        return passing.octets
    forged = rewritten(passing, _other_state(bundle))
    passed(fault, "another epoch authenticator", passing, forged)
    return forged


def _other_state(bundle: CommitBundle) -> CommitBundle:
    other, state = flipped(bundle.epoch_authenticator), bundle.state
    return replace(
        bundle,
        epoch_authenticator=other,
        state=None if state is None else replace(state, epoch_authenticator=other),
    )


# --- what a phone sends -----------------------------------------------------------------------------------------------


def _stale_epoch(fault: ActiveFault, passing: Passing) -> bytes | None:
    """An authenticator that this era never had: as of a member that has gone another way."""
    cpim = sealed_message(passing)
    if cpim is None or not fault.happens():
        return passing.octets
    authenticator = b64encode(fault.tokens.octets(_AUTHENTICATOR_OCTETS)).decode()
    stale = passing.with_cpim(cpim.with_header(CpimHeader(MLS_NAMESPACE, "Epoch-Authenticator", authenticator)).raw)
    passed(fault, "of another epoch", passing, stale)
    return stale


def _era_gap(fault: ActiveFault, passing: Passing) -> bytes | None:
    cpim = sealed_message(passing)
    era = None if cpim is None else MlsHeaders.of(cpim).era_id
    if cpim is None or era is None or not fault.happens():
        return passing.octets
    other = era + fault.scope.number("eras")
    gap = passing.with_cpim(cpim.with_header(CpimHeader(MLS_NAMESPACE, "Era-ID", str(other))).raw)
    passed(fault, f"era {era} said to be {other}", passing, gap)
    return gap


def _drop_headers(fault: ActiveFault, passing: Passing) -> bytes | None:
    """What a receiver needs before it may open anything: without, nobody is told (RCC.16 §7.9)."""
    cpim = sealed_message(passing)
    if cpim is None or not fault.happens():
        return passing.octets
    for name in _DROPPED[fault.scope["which"]]:
        cpim = cpim.without_header(MLS_NAMESPACE, name)
    bare = passing.with_cpim(cpim.raw)
    passed(fault, "headers of the encryption dropped", passing, bare)
    return bare


def _bad_signature(fault: ActiveFault, passing: Passing) -> bytes | None:
    if fault.scope["what"] == "receipt":
        return _bad_receipt(fault, passing)
    return _spoil_request(fault, passing, "signature")


def _spoil_request(fault: ActiveFault, passing: Passing, what: str) -> bytes | None:
    """The commit or proposal in a request to the focus."""
    request = focus_request(passing)
    changed = None if request is None else _spoiled_request(request, what)
    if changed is None or not fault.happens():
        return passing.octets
    forged = rewritten(passing, changed)
    passed(fault, f"wrong {what}", passing, forged)
    return forged


def _spoiled_request(request: ClientMlsRcsMessage, what: str) -> ClientMlsRcsMessage | None:
    commit, proposal = spoiled(request.commit, what), spoiled(request.proposal, what)
    if commit is not None:
        return replace(request, commit=commit)
    return None if proposal is None else replace(request, proposal=proposal)


def _bad_receipt(fault: ActiveFault, passing: Passing) -> bytes | None:
    cpim = passing.cpim
    signature = b"" if cpim is None else MlsHeaders.of(cpim).signature
    if cpim is None or not signature or not fault.happens():
        return passing.octets
    value = b64encode(flipped(signature)).decode()
    forged = passing.with_cpim(cpim.with_header(CpimHeader(MLS_NAMESPACE, "MLS-Derived-Content-Signature", value)).raw)
    passed(fault, "wrong signature of a receipt", passing, forged)
    return forged


def _bad_aad(fault: ActiveFault, passing: Passing) -> bytes | None:
    if fault.scope["what"] == "commit":
        return _spoil_request(fault, passing, "aad")
    cpim = sealed_message(passing)
    changed = None if cpim is None else spoiled(cpim.body, "aad")
    if changed is None or not fault.happens():
        return passing.octets
    forged = rewritten(passing, changed)
    passed(fault, "wrong authenticated data", passing, forged)
    return forged


def _replay(fault: ActiveFault, passing: Passing) -> bytes | None:
    cpim = sealed_message(passing)
    if cpim is None or not fault.happens():
        return passing.octets
    again = replayed(fault, passing, cpim)
    passing.send(again, after_s=fault.scope.seconds("delay_s"))
    passed(fault, "comes again later", passing, again)
    return passing.octets


def replayed(fault: ActiveFault, passing: Passing, cpim: CpimMessage) -> bytes:
    """The sealed octets once more, under the same imdn.Message-ID or under a new one."""
    mark = f"again{fault.number}x{fault.acts}"
    if fault.scope["id"] == "new":
        other = passing.with_cpim(cpim.with_header(CpimHeader(IMDN, "Message-ID", fault.tokens.uuid())).raw)
        passing = passing.tap.changed(passing, other)
    return as_another_message(passing, mark)


# --- what phones do ---------------------------------------------------------------------------------------------------


def encryption_of(fault: ActiveFault, phone: Phone) -> MlsEncryption:
    """Raises FaultError for a phone that does not encrypt."""
    if phone.encryption is None or phone.encryption.mls is None:
        raise FaultError(f"{fault.word}: {phone.name} does not encrypt")
    return phone.encryption.mls


def _peers(fault: ActiveFault, encryption: MlsEncryption) -> tuple[ContactKey, ...]:
    """Those of the encrypted conversations that the scope means. Raises FaultError without any."""
    wanted, found = fault.scope.get("peer"), encryption.peers()
    if wanted is not None:
        number = fault.sim.numbers[wanted]
        found = tuple(peer for peer in found if str(peer) == number)
    if not found:
        raise FaultError(f"{fault.word}: {fault.scope['of']} has no encrypted conversation of that kind")
    return found


async def _begin_race(fault: ActiveFault) -> None:
    """Both commit to the same epoch, in the same moment: the focus takes the one that comes first."""
    phone, numbers = one_phone(fault), fault.sim.numbers
    ours = encryption_of(fault, phone)
    for peer in _peers(fault, ours):
        others = [fault.sim.phones[name] for name, number in numbers.items() if number == str(peer)]
        racers = [(phone, ours, peer)]
        racers += [(other, encryption_of(fault, other), ContactKey(numbers[phone.name])) for other in others]
        for racer, encryption, whom in racers:
            is_sent = encryption.request(
                whom, lambda engine, control_id, now_s: engine.control.rekey(control_id, now_s)
            )
            fault.acted("commits" if is_sent else "cannot commit", racer.name)


def _rekey(engine: EncryptedConversation, control_id: str, now_s: int) -> PendingOperation:
    return engine.control.rekey(control_id, now_s)


async def _begin_end(fault: ActiveFault) -> None:
    """The user consents to go on without encryption (RCC.16 §9.1)."""
    phone = one_phone(fault)
    for peer in _peers(fault, encryption_of(fault, phone)):
        chat = phone.chat(str(peer))
        chat.end_encryption()
        fault.undo.callback(chat.revive_encryption)
        fault.acted("encryption ended", phone.name)


async def _begin_ghost(fault: ActiveFault) -> None:
    """A member adds a device of somebody who is not in the conversation (digest RCC.16 §14.10)."""
    phone, ghost = one_phone(fault), fault.scope["ghost"]
    encryption = encryption_of(fault, phone)
    peers = _peers(fault, encryption)
    try:
        found = await Claims(encryption.credentials).packages(fault.sim.numbers[ghost].lstrip("+"), None)
    except ClaimFailed as error:
        raise FaultError(f"{fault.word}: {ghost} has no key packages: {error}") from error
    packages = tuple(each.key_package for each in found if each.key_package is not None)
    for peer in peers:
        is_sent = encryption.request(
            peer, lambda engine, control_id, now_s: engine.control.add(packages, (), control_id, now_s)
        )
        fault.acted(f"adds {ghost}" if is_sent else f"cannot add {ghost}", phone.name)


_PEER = ScopeKey(name="peer", kind=KeyKind.PHONE, meaning="in the conversation with this phone; else in all")
_DELAY = ScopeKey(name="delay_s", kind=KeyKind.SECONDS, meaning="so late", default=10.0)
_ID = ScopeKey(
    name="id", kind=KeyKind.WORD, meaning="imdn.Message-ID of what comes again", default="new", words=("new", "same")
)

MLS_FAULTS: tuple[FaultKind, ...] = (
    FaultKind(
        word="mls.commit_race",
        meaning="both sides of a conversation commit in the same moment",
        clause="RCC.16 §6.1.2 (arbitration)",
        reversal="none needed: one commit counts, the other is undone",
        begin=_begin_race,
        keys=(replace(OF, is_required=True, meaning="in conversations of this phone"), _PEER),
        example={"of": "bob"},
        reach=Reach.BOTH,
    ),
    _kind(
        "mls.drop_commit",
        "commits that the focus fans out do not reach a phone, and its server believes that they did",
        "RCC.16 §7.10, §10.1",
        _drop_commit,
        sent=False,
        reversal=_LATER,
    ),
    _kind(
        "mls.drop_welcome",
        "Welcomes do not reach a phone, and its server believes that they did",
        "RCC.16 §6.1.1, §10.1",
        _drop_welcome,
        sent=False,
        reversal=_LATER,
    ),
    _kind(
        "mls.late_welcome",
        "Welcomes come late, after messages that they are needed for",
        "RCC.16 §6.1.1 (parked messages)",
        _late_welcome,
        sent=False,
        reversal="later ones come at once; what is held back comes when its time is over",
        keys=(_DELAY,),
        example={"delay_s": 10},
    ),
    _kind(
        "mls.stale_epoch",
        "what a phone sends is of an epoch that the focus does not know",
        "RCC.16 §7.9 (Epoch-Authenticator), §10.1",
        _stale_epoch,
        sent=True,
        reversal="what it sends is of the present epoch",
    ),
    _kind(
        "mls.era_gap",
        "what a phone sends is of another era than that of the focus",
        "RCC.16 §8.3, §7.9 (Era-ID)",
        _era_gap,
        sent=True,
        reversal="what it sends is of the present era",
        keys=(ScopeKey(name="eras", kind=KeyKind.COUNT, meaning="ahead by so many", default=1),),
    ),
    _kind(
        "mls.drop_headers",
        "sealed messages that a phone sends lose the headers that a receiver needs before it opens them",
        "RCC.16 §7.9 (Era-ID, Epoch-Authenticator)",
        _drop_headers,
        sent=True,
        reversal="later ones have them; what was dropped shows nowhere, and its sender gets no receipt",
        keys=(
            ScopeKey(
                name="which",
                kind=KeyKind.WORD,
                meaning="which of them",
                default="both",
                words=("both", "era", "authenticator"),
            ),
        ),
        example={"which": "era", "count": 1},
    ),
    _kind(
        "mls.fork",
        "the focus tells a phone another state than it tells the others",
        "RCC.16 §6.1.2, RFC 9420 §8.7 (epoch authenticator)",
        _fork,
        sent=False,
        reversal="it is told the truth; the phone has to compare and heal",
    ),
    _kind(
        "mls.bad_signature",
        "commits and proposals of a phone, or its receipts, have a wrong signature",
        "RFC 9420 §6.1, RCC.16 §7.6.2",
        _bad_signature,
        sent=True,
        reversal="later ones are signed well",
        keys=(
            ScopeKey(
                name="what",
                kind=KeyKind.WORD,
                meaning="whose signature",
                default="commit",
                words=("commit", "receipt"),
            ),
        ),
        example={"what": "commit", "count": 1},
    ),
    _kind(
        "mls.bad_aad",
        "the authenticated data of what a phone sends are not those that it was sealed with",
        "RCC.16 §7.5.3, RFC 9420 §6.3",
        _bad_aad,
        sent=True,
        reversal="later ones are sound",
        keys=(
            ScopeKey(name="what", kind=KeyKind.WORD, meaning="of what", default="message", words=("message", "commit")),
        ),
        example={"what": "message", "count": 1},
    ),
    _kind(
        "mls.replay",
        "sealed messages to a phone come again, later",
        "RFC 9420 §6.3.1, RCC.16 §7.9",
        _replay,
        sent=False,
        reversal="later ones come once; what is under way still comes",
        keys=(replace(_DELAY, default=5.0, meaning="so much later"), _ID),
        example={"delay_s": 5},
    ),
    FaultKind(
        word="mls.end_mls",
        meaning="a user goes on without encryption, for both sides",
        clause="RCC.16 §9.1",
        reversal="he wants the encryption back",
        begin=_begin_end,
        keys=(replace(OF, is_required=True, meaning="the user of this phone"), _PEER),
        example={"of": "bob"},
        reach=Reach.BOTH,
    ),
    FaultKind(
        word="mls.ghost_member",
        meaning="a phone adds a device of somebody who is not in the conversation",
        clause="RCC.16 §9.5, digest §14.10",
        reversal="none needed: the focus refuses, and nobody is added",
        begin=_begin_ghost,
        keys=(
            replace(OF, is_required=True, meaning="by this phone"),
            ScopeKey(name="ghost", kind=KeyKind.PHONE, meaning="of this one", is_required=True),
            _PEER,
        ),
        example={"of": "bob", "ghost": "mallory"},
        reach=Reach.BOTH,
    ),
)
