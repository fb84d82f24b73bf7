"""``adversary.``: somebody on the way, or in the conversation, who wants to read, forge or weaken."""

from __future__ import annotations

from dataclasses import replace

from rcs_sim.e2ee.client_message import ClientMlsRcsMessage
from rcs_sim.e2ee.content_types import MLS_NAMESPACE
from rcs_sim.scenario.faults.active_fault import ActiveFault
from rcs_sim.scenario.faults.caps_faults import without_mls_tags
from rcs_sim.scenario.faults.content_faults import as_another_message, is_message
from rcs_sim.scenario.faults.fault_kind import FaultKind, KeyKind, Occasion, Reach, ScopeKey
from rcs_sim.scenario.faults.link_scope import CARRIER, OF, passed
from rcs_sim.scenario.faults.mls_faults import replayed
from rcs_sim.scenario.faults.mls_passing import flipped, focus_request, rewritten, sealed_message, spoiled
from rcs_sim.scenario.faults.passing import Line, Passing, with_cpim_body
from rcs_sim.wire.cpim import CpimMessage
from rcs_sim.wire.cpim_header import IMDN, CpimHeader
from rcs_sim.wire.imdn import IMDN_CONTENT_TYPE

__all__ = ["ADVERSARY_FAULTS"]

_BORDERS = (".ibcf", ".msrp_relay")
_BRIDGES = (".msrp_relay", ".messaging_server")
_SOON_S = 0.05
_AT = replace(CARRIER, meaning="by this carrier; else by any")


def _is_at_border(fault: ActiveFault, passing: Passing) -> bool:
    """From one carrier to another one; with a carrier in the scope, what comes out of it."""
    source, target = passing.source, passing.target
    is_border = any(source.endswith(end) and target.endswith(end) for end in _BORDERS)
    return is_border and fault.scope.get("carrier") in (None, source.partition(".")[0])


async def _begin_strip(fault: ActiveFault) -> None:
    def strip(passing: Passing) -> bytes | None:
        octets = passing.octets
        stripped = without_mls_tags(octets) if _is_at_border(fault, passing) else octets
        if stripped is octets or not fault.happens():
            return octets
        passed(fault, "MLS tags taken away at the border", passing, stripped)
        return stripped

    fault.undo.callback(fault.sim.faults.tap.add((Line.SIP,), strip))


async def _begin_inject(fault: ActiveFault) -> None:
    """A receipt that says more than the truth and that nobody has signed, behind each true one."""
    name = fault.scope["of"]

    def inject(passing: Passing) -> bytes | None:
        cpim = passing.cpim
        if cpim is None or passing.target != name or cpim.content_type.essence != IMDN_CONTENT_TYPE:
            return passing.octets
        if not fault.happens():
            return passing.octets
        forged = passing.tap.changed(passing, passing.with_cpim(_forged_receipt(fault, cpim)))
        octets = as_another_message(forged, f"forged{fault.number}x{fault.acts}")
        passed(fault, "a receipt without a signature put in", passing, octets)
        if fault.scope["instead"] == "yes":
            passing.answer_whole()
            passing.send(octets, after_s=_SOON_S)
            return None
        passing.send(octets, after_s=_SOON_S)
        return passing.octets

    fault.undo.callback(fault.sim.faults.tap.add((Line.CONTENT,), inject))


def _forged_receipt(fault: ActiveFault, cpim: CpimMessage) -> bytes:
    """Says that the message was looked at."""
    plain = cpim.without_header(MLS_NAMESPACE, "MLS-Derived-Content-Signature")
    plain = plain.with_header(CpimHeader(IMDN, "Message-ID", fault.tokens.uuid()))
    body = plain.body.replace(b"delivery-notification", b"display-notification")
    body = body.replace(b"<delivered/>", b"<displayed/>").replace(b"<delivered />", b"<displayed />")
    return with_cpim_body(plain, body)


async def _begin_replay(fault: ActiveFault) -> None:
    def replay(passing: Passing) -> bytes | None:
        cpim = sealed_message(passing)
        if cpim is None or not _is_at_border(fault, passing) or not fault.happens():
            return passing.octets
        again = replayed(fault, passing, cpim)
        passing.send(again, after_s=fault.scope.seconds("delay_s"))
        passed(fault, "recorded, and sent again later", passing, again)
        return passing.octets

    fault.undo.callback(fault.sim.faults.tap.add((Line.CONTENT,), replay))


async def _begin_evil(fault: ActiveFault) -> None:
    """The device of a member breaks the rules in what it asks of the focus."""
    name, does = fault.scope["of"], fault.scope["does"]

    def lie(passing: Passing) -> bytes | None:
        request = focus_request(passing) if passing.source == name else None
        changed = None if request is None else _evil_request(request, does)
        if changed is None or not fault.happens():
            return passing.octets
        forged = rewritten(passing, changed)
        passed(fault, f"wrong {does} in a request", passing, forged)
        return forged

    fault.undo.callback(fault.sim.faults.tap.add((Line.CONTENT,), lie))


def _evil_request(request: ClientMlsRcsMessage, does: str) -> ClientMlsRcsMessage | None:
    """None where there is nothing of the kind."""
    match does:
        case "welcome" if request.welcome:
            return replace(request, welcome=flipped(request.welcome))
        case "result_authenticator" if request.result is not None and request.group_info is not None:
            other = flipped(request.result.epoch_authenticator)
            return replace(
                request,
                result=replace(request.result, epoch_authenticator=other),
                group_info=replace(request.group_info, epoch_authenticator=other),
            )
        case "signature" | "confirmation_tag":
            commit = spoiled(request.commit, does)
            return None if commit is None else replace(request, commit=commit)
    return None


async def _begin_peek(fault: ActiveFault) -> None:
    """Changes nothing; the trace has what could be read."""

    def peek(passing: Passing) -> bytes | None:
        cpim = passing.cpim
        if cpim is None or not is_message(passing) or not _is_bridge(fault, passing) or not fault.happens():
            return passing.octets
        kind = cpim.content_type.essence
        saw = cpim.text if kind.startswith("text/") else ""
        passed(
            fault,
            f"read {kind}" if saw else f"saw {kind}",
            passing,
            content_type=kind,
            octets=len(cpim.body),
            is_readable=bool(saw),
            saw=saw,
        )
        return passing.octets

    fault.undo.callback(fault.sim.faults.tap.add((Line.CONTENT,), peek))


def _is_bridge(fault: ActiveFault, passing: Passing) -> bool:
    if not passing.source.endswith(_BRIDGES):
        return False
    return fault.scope.get("carrier") in (None, passing.source.partition(".")[0])


ADVERSARY_FAULTS: tuple[FaultKind, ...] = (
    FaultKind(
        word="adversary.strip_caps",
        meaning="whoever sits on the border between carriers takes away what announces MLS",
        clause="RCC.16 §5.1, §7.1",
        reversal="tags pass again; phones learn them when they next ask",
        begin=_begin_strip,
        keys=(replace(CARRIER, meaning="in what comes out of this carrier; else out of any"),),
        example={"carrier": "blue"},
        reach=Reach.LINKS,
        occasion=Occasion.EACH,
    ),
    FaultKind(
        word="adversary.inject_plain_imdn",
        meaning="receipts that say more than the truth, without a signature, are put in behind true ones",
        clause="RCC.16 §7.6.2",
        reversal="nothing is put in any more",
        begin=_begin_inject,
        keys=(
            replace(OF, is_required=True, meaning="receipts to this phone"),
            ScopeKey(
                name="instead",
                kind=KeyKind.WORD,
                meaning="in the place of the true ones",
                default="no",
                words=("no", "yes"),
            ),
        ),
        example={"of": "alice"},
        reach=Reach.LINKS,
        occasion=Occasion.EACH,
    ),
    FaultKind(
        word="adversary.replay",
        meaning="sealed messages are recorded at the border and sent again later",
        clause="RFC 9420 §6.3.1, RCC.16 §7.9",
        reversal="later ones come once; what is under way still comes",
        begin=_begin_replay,
        keys=(
            replace(CARRIER, meaning="in what comes out of this carrier; else out of any"),
            ScopeKey(name="delay_s", kind=KeyKind.SECONDS, meaning="so much later", default=5.0),
            ScopeKey(
                name="id",
                kind=KeyKind.WORD,
                meaning="imdn.Message-ID of what comes again",
                default="new",
                words=("new", "same"),
            ),
        ),
        example={"delay_s": 5},
        reach=Reach.LINKS,
        occasion=Occasion.EACH,
    ),
    FaultKind(
        word="adversary.evil_member",
        meaning="the device of a member breaks the rules of the group in its requests to the focus",
        clause="RCC.16 §6.1.2 (checks of the focus), digest §14.6",
        reversal="it keeps the rules again",
        begin=_begin_evil,
        keys=(
            replace(OF, is_required=True, meaning="the device"),
            ScopeKey(
                name="does",
                kind=KeyKind.WORD,
                meaning="what is wrong in its requests",
                default="result_authenticator",
                words=("result_authenticator", "welcome", "confirmation_tag", "signature"),
            ),
        ),
        example={"of": "bob", "does": "result_authenticator"},
        reach=Reach.LINKS,
        occasion=Occasion.EACH,
    ),
    FaultKind(
        word="adversary.bridge_peek",
        meaning="servers and media bridges read what passes, and the trace says what they could read",
        clause="RCC.16 §1 (what servers see), design §6 (lock truth)",
        reversal="nobody reads along",
        begin=_begin_peek,
        keys=(_AT,),
        example={"carrier": "red"},
        reach=Reach.LINKS,
        occasion=Occasion.EACH,
    ),
)
