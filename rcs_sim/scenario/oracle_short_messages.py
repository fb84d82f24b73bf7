"""Short messages of a trace, on SIP and on links of service centres: their texts, whole again (TS 23.040)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ims_core.wire.sms.octets import SmsParseError
from ims_core.wire.sms.rpdu import Direction, RpData, parse_rpdu
from ims_core.wire.sms.tpdu import SmsDeliver, SmsSubmit, parse_tpdu_from_ms, parse_tpdu_to_ms
from rcs_sim.scenario.oracle_hops import Carried, Hop, Metadata, digits_of

__all__ = ["DELIVER", "SUBMIT", "ShortMessages"]

SUBMIT, DELIVER = "submit", "deliver"
_SEEN = frozenset({Metadata.NUMBERS, Metadata.TIME, Metadata.SIZE})
_Key = tuple[str, str, str, str, str, int, int]


@dataclass(frozen=True, slots=True)
class _Part:
    text: str
    hop: Hop
    carried: Carried


class ShortMessages:
    """Joins the parts of concatenated messages, for each hop on its own."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: dict[_Key, dict[int, _Part]] = {}

    def read(self, hop: Hop, rpdu: bytes, sender: str = "", recipient: str = "") -> list[Carried]:
        """What the RP message completes. *sender* and *recipient* are the digits that the frame around it gives."""
        tpdu = _tpdu_of(rpdu)
        if tpdu is None:
            return []
        is_submit = isinstance(tpdu, SmsSubmit)
        if isinstance(tpdu, SmsSubmit):
            recipient = digits_of(tpdu.destination.value) or recipient
        else:
            sender = digits_of(tpdu.originator.value) or tpdu.originator.value
        carried = Carried(
            hop=hop,
            media_type="application/vnd.3gpp.sms",
            octets=rpdu,
            text=tpdu.text,
            sender=sender,
            recipient=recipient,
            short_message=SUBMIT if is_submit else DELIVER,
            metadata=_SEEN,
        )
        header = tpdu.user_data.header
        place = None if header is None else header.concatenation
        if place is None or place.total == 1:
            return [carried]
        ends = (hop.source, hop.target, carried.short_message, sender, recipient)
        key = (*ends, place.reference, place.total)
        parts = self._parts.setdefault(key, {})
        parts[place.sequence] = _Part(tpdu.text, hop, carried)
        if len(parts) < place.total:
            return []
        del self._parts[key]
        return [_joined(parts, is_whole=True)]

    def rest(self) -> Iterator[Carried]:
        """What has come of messages that are not whole."""
        for parts in self._parts.values():
            yield _joined(parts, is_whole=False)
        self._parts.clear()


def _joined(parts: dict[int, _Part], *, is_whole: bool) -> Carried:
    ordered = [parts[sequence] for sequence in sorted(parts)]
    first = min(ordered, key=lambda part: part.hop.number)
    text = "".join(part.text for part in ordered)
    return replace(first.carried, text=text, octets=text.encode("utf-8", "replace"), is_whole=is_whole, is_derived=True)


def _tpdu_of(rpdu: bytes) -> SmsSubmit | SmsDeliver | None:
    """A message with a text; None for a report and for what cannot be read."""
    try:
        rp = parse_rpdu(rpdu)
        if not isinstance(rp, RpData):
            return None
        from_phone = rp.direction is Direction.FROM_MS
        tpdu = parse_tpdu_from_ms(rp.user_data) if from_phone else parse_tpdu_to_ms(rp.user_data)
    except SmsParseError:
        return None
    return tpdu if isinstance(tpdu, SmsSubmit | SmsDeliver) else None
