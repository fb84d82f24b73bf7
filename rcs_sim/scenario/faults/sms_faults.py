"""``sms.``: short messages between their service centre and the phone that come late, twice, or never."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ims_core.wire.sms.octets import SmsParseError
from ims_core.wire.sms.rpdu import Direction, RpAck, RpData, parse_rpdu
from ims_core.wire.sms.sm_link import Forward, ForwardKind, Result, encode_frame
from ims_core.wire.sms.tpdu import SmsStatusReport, parse_tpdu_to_ms
from rcs_sim.scenario.faults.active_fault import ActiveFault
from rcs_sim.scenario.faults.fault_kind import FaultKind, KeyKind, Occasion, Reach, ScopeKey
from rcs_sim.scenario.faults.link_scope import CARRIER, OF, is_meant, passed
from rcs_sim.scenario.faults.passing import Line, Passing
from rcs_sim.scenario.faults.places import subscriber_of

__all__ = ["SMS_FAULTS"]

_SMSC = ".smsc"
_OTHER_REFERENCE = 1 << 30
_KEYS = (replace(OF, meaning="short messages to this phone"), replace(CARRIER, meaning="from this service centre"))

_Act = Callable[[ActiveFault, Passing, Forward, RpData], bytes | None]


def _begin(act: _Act, *, is_report: bool) -> Callable[[ActiveFault], None]:
    """Begins *act* on what service centres send to phones: texts, or status reports."""

    def begin(fault: ActiveFault) -> None:
        def apply(passing: Passing) -> bytes | None:
            found = _mobile_terminated(passing, is_report=is_report)
            if found is None or not _is_meant(fault, passing, found[0]) or not fault.happens():
                return passing.octets
            return act(fault, passing, *found)

        fault.undo.callback(fault.sim.faults.tap.add((Line.SM,), apply))

    return begin


def _mobile_terminated(passing: Passing, *, is_report: bool) -> tuple[Forward, RpData] | None:
    """Toward the phone, or the gateway that reaches it."""
    message = passing.short_message
    if not isinstance(message, Forward) or message.kind is not ForwardKind.MT or not passing.source.endswith(_SMSC):
        return None
    try:
        rpdu = parse_rpdu(message.rpdu)
        if not isinstance(rpdu, RpData):
            return None
        content = parse_tpdu_to_ms(rpdu.user_data)
    except SmsParseError:
        return None
    return (message, rpdu) if isinstance(content, SmsStatusReport) is is_report else None


def _is_meant(fault: ActiveFault, passing: Passing, message: Forward) -> bool:
    name = fault.scope.get("of")
    if name is None:
        return is_meant(fault, passing.source, passing.target)
    if passing.target == name:
        return True
    subscriber = subscriber_of(fault.sim, name)
    digits = "" if message.destination is None else message.destination.value.lstrip("+")
    return digits != "" and digits in ((subscriber.msisdn or "").lstrip("+"), subscriber.imsi)


def _delay(fault: ActiveFault, passing: Passing, message: Forward, rpdu: RpData) -> bytes | None:
    passing.send(after_s=fault.scope.seconds("delay_s"))
    passed(fault, "held back", passing, delay_s=fault.scope.seconds("delay_s"))
    return None


def _lose(fault: ActiveFault, passing: Passing, message: Forward, rpdu: RpData) -> bytes | None:
    """Its service centre believes that it came."""
    taken = Result(message.reference, RpAck(Direction.FROM_MS, rpdu.reference).encode())
    passing.answer(encode_frame(taken))
    passed(fault, "lost", passing)
    return None


def _repeat(fault: ActiveFault, passing: Passing, message: Forward, rpdu: RpData) -> bytes | None:
    """As a message of its own, which nothing but its text and time stamp tells from the first."""
    again = replace(
        message,
        reference=message.reference ^ _OTHER_REFERENCE,
        identifier=f"{message.identifier}-again" if message.identifier else "",
    )
    octets = encode_frame(again)
    passing.send(octets, after_s=fault.scope.seconds("interval_s"))
    passed(fault, "sent twice", passing, octets)
    return passing.octets


async def _begin_delay(fault: ActiveFault) -> None:
    _begin(_delay, is_report=False)(fault)


async def _begin_lose(fault: ActiveFault) -> None:
    _begin(_lose, is_report=False)(fault)


async def _begin_duplicate(fault: ActiveFault) -> None:
    _begin(_repeat, is_report=False)(fault)


async def _begin_lose_report(fault: ActiveFault) -> None:
    _begin(_lose, is_report=True)(fault)


SMS_FAULTS: tuple[FaultKind, ...] = (
    FaultKind(
        word="sms.delay",
        meaning="short messages reach the phone late",
        clause="TS 23.040 §3.2.7",
        reversal="later ones come at once; those held back come when their time is over",
        begin=_begin_delay,
        keys=(ScopeKey(name="delay_s", kind=KeyKind.SECONDS, meaning="so late", default=10.0), *_KEYS),
        example={"of": "bob", "delay_s": 10},
        reach=Reach.LINKS,
        occasion=Occasion.EACH,
    ),
    FaultKind(
        word="sms.lose",
        meaning="short messages are lost behind their service centre, which believes that they came",
        clause="TS 23.040 §3.2.9",
        reversal="later ones come",
        begin=_begin_lose,
        keys=_KEYS,
        example={"of": "bob", "count": 1},
        reach=Reach.LINKS,
        occasion=Occasion.EACH,
    ),
    FaultKind(
        word="sms.duplicate",
        meaning="short messages reach the phone twice",
        clause="TS 23.040 §9.2.3.25 (reject duplicates)",
        reversal="later ones come once",
        begin=_begin_duplicate,
        keys=(ScopeKey(name="interval_s", kind=KeyKind.SECONDS, meaning="between the two", default=2.0), *_KEYS),
        example={"of": "bob"},
        reach=Reach.LINKS,
        occasion=Occasion.EACH,
    ),
    FaultKind(
        word="sms.lose_report",
        meaning="status reports of short messages are lost: the sender is never told that they came",
        clause="TS 23.040 §3.2.9, §9.2.2.3",
        reversal="later reports come",
        begin=_begin_lose_report,
        keys=(replace(OF, meaning="reports to this phone, which sent the message"), _KEYS[1]),
        example={"of": "alice"},
        reach=Reach.LINKS,
        occasion=Occasion.EACH,
    ),
)
