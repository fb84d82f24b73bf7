"""The five things that must not happen to a message, each told from octets on one side and screens on the other."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from rcs_sim.client.display import Shown
from rcs_sim.scenario.oracle_changes import ChangesOfText
from rcs_sim.scenario.oracle_copies import CopiesOfText
from rcs_sim.scenario.oracle_hops import digits_of, same_text
from rcs_sim.scenario.oracle_keys import KeyLeak
from rcs_sim.scenario.oracle_readings import Passage, Readings, Verdict
from rcs_sim.scenario.oracle_rosters import GroupRoster
from rcs_sim.scenario.oracle_screens import Label, Screens, Showing, Tick, UserMessage
from rcs_sim.scenario.oracle_seals import NO_CIPHER, SEALED_AS, scheme_of
from rcs_sim.scenario.oracle_secrets import SecretLeak

__all__ = ["MessageDisplay", "OracleRules", "Violation", "ViolationKind"]

_GRACE_S = 30.0  # from the last octets of a message until a receiver that can be reached should have shown it (choice)
_MAX_EVIDENCE = 12  # records that a violation names
_RECEIPTS = (Shown.DELIVERED, Shown.DISPLAYED)
_LEFT = (Shown.SENT, *_RECEIPTS)
_TOLD = ("", Shown.FAILED)  # it waits, or it failed: its user sees that
_SHOWN_CHARACTERS = 40  # of a text that stands in the place of another

_Moments: TypeAlias = Mapping[tuple[str, str], Sequence[tuple[int, int]]]  # records by phone and peer


class ViolationKind(StrEnum):
    """What a run must never show."""

    LYING_LOCK = "lying lock"
    MISSING_LOCK = "missing lock"
    SILENT_LOSS = "silent loss"
    DUPLICATE = "duplicate"
    SILENT_DOWNGRADE = "silent downgrade"


@dataclass(frozen=True, slots=True)
class Violation:
    """*phone* is whose screen it was; *evidence* are numbers of records."""

    kind: ViolationKind
    message: UserMessage
    phone: str
    why: str
    evidence: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MessageDisplay:
    """How a phone shows a message: the last record that says so, else the label that its conversation had when it was
    sent. *may_miss_lock* is False where nothing says that there was none."""

    phone: str
    label: str
    scheme: str
    has_lock: bool
    number: int
    may_miss_lock: bool


class OracleRules:
    """Judges messages by what was read of the trace."""

    __slots__ = ("_changes", "_copies", "_locks", "_mls_locks", "_readings", "_screens")

    def __init__(self, readings: Readings) -> None:
        self._readings = readings
        self._screens: Screens = readings.screens
        self._locks = _lock_moments(readings, lambda shown: bool(shown.has_lock))
        self._mls_locks = _lock_moments(readings, lambda shown: shown.scheme == "mls")
        self._changes = ChangesOfText(readings)
        self._copies = CopiesOfText(readings)

    def violations(self, message: UserMessage) -> Iterator[Violation]:
        passages = self._readings.passages(message)
        for rule in _RULES:
            yield from rule(self, message, passages)

    def is_pending(self, message: UserMessage) -> bool:
        """Whether it is on its way still: its receiver has not shown it, and could not be reached."""
        if message.is_foreign or message.showings or message.mark in (*_TOLD, *_RECEIPTS):
            return False
        return not self._loss(message, self._readings.passages(message))

    # --- what is seen ------------------------------------------------------------------------------------------------

    def displays(self, message: UserMessage) -> list[MessageDisplay]:
        """Of the sender's phone, and of every phone that showed it."""
        found = []
        if not message.is_foreign:
            found = [self._display(message.phone, message.peer, message.ticks, message.number)]
        last = {showing.phone: showing for showing in message.showings}
        return found + [self._display(each.phone, each.peer, [each.tick], each.number) for each in last.values()]

    def _display(self, phone: str, peer: str, ticks: Sequence[Tick], number: int) -> MessageDisplay:
        said = next((tick for tick in reversed(ticks) if tick.has_lock is not None), None)
        if said is not None:
            has_lock = bool(said.has_lock)
            label = said.label or (f"{said.transport or 'RCS'} · encrypted" if has_lock else said.transport)
            return MessageDisplay(phone, label, said.scheme, has_lock, said.number, not has_lock)
        labels = self._screens.labels(phone, peer)
        then = self._screens.label_at(phone, peer, number)
        may_miss_lock = bool(labels) and not labels[-1].has_lock
        if then is None:
            return MessageDisplay(phone, "", "", False, number, may_miss_lock)
        may_miss_lock &= not then.has_lock  # what comes after it, such as the end of encryption, says nothing of it
        return MessageDisplay(phone, then.label, then.scheme, then.has_lock, then.number, may_miss_lock)

    def ends(self, message: UserMessage) -> set[str]:
        """The phones of the sender and of the receiver, and those that showed it."""
        showed = {showing.phone for showing in message.showings}
        if message.is_foreign:
            return (showed | {message.peer}) - {""}
        return (showed | self._own_phones(message)) - set(self._strangers(message))

    def _own_phones(self, message: UserMessage) -> set[str]:
        """Those of the sender, and those of the receiver when it was sent and whenever one of them showed it."""
        own = self._screens.number(message.phone, message.number)
        return {message.phone, *self._screens.phones_of(own, message.number)} | self._receivers(message)

    def _receivers(self, message: UserMessage) -> set[str]:
        """The phones with the number that it went to, then and whenever somebody showed it."""
        moments = {message.number, *(showing.number for showing in message.showings)}
        return {phone for at in moments for phone in self._screens.phones_of(message.peer, at)}

    def open_to_others(self, message: UserMessage, passages: Sequence[Passage]) -> list[Passage]:
        """The hops at which somebody other than the ends could read it."""
        ends = self.ends(message)
        return [
            passage
            for passage in passages
            if passage.verdict is Verdict.READABLE and not {passage.hop.source, passage.hop.target} <= ends
        ]

    # --- the rules ---------------------------------------------------------------------------------------------------

    def _lying_lock(self, message: UserMessage, passages: Sequence[Passage]) -> Iterator[Violation]:
        """A lock over octets that others could read, or over nothing that was ever sealed."""
        is_open = self.open_to_others(message, passages)
        for display in self.displays(message):
            locks = self._lock_ticks(message, display)
            if is_open:
                is_later = any(is_open[0].hop.number <= number for number in locks)
                is_excused = display.phone != message.phone and self._is_agreed(message, is_open[0])
                if is_later or (display.has_lock and not is_excused):
                    yield _violation(ViolationKind.LYING_LOCK, message, display, _told_readers(is_open), is_open)
            elif display.has_lock:
                why, shows_it = self._false_seal(message, display, passages)
                if why:
                    yield _violation(ViolationKind.LYING_LOCK, message, display, why, shows_it)

    def _false_seal(
        self, message: UserMessage, display: MessageDisplay, passages: Sequence[Passage]
    ) -> tuple[str, Sequence[Passage]]:
        """What is wrong with a lock over octets in which the text does not stand; "" if nothing is."""
        if not passages:
            why = "it was shown with a lock, and nothing that was sealed crossed any link"
            return why if self._has_left(message) else "", ()
        bare = [each for each in passages if each.how == NO_CIPHER]
        if bare:
            return f"it was shown with a lock, and {bare[0].hop.source} sent {NO_CIPHER}", bare
        sealed_as = {scheme_of(each.carried.media_type) for each in passages if each.carried is not None} - {""}
        if display.scheme in SEALED_AS and sealed_as and display.scheme not in sealed_as:
            return f"its lock says {display.scheme}, and it was sealed as {', '.join(sorted(sealed_as))}", passages
        ghosts = self._ghosts(message, passages)
        if ghosts:
            names = ", ".join(f"+{each}" if each else "somebody without a number" for each in ghosts)
            why = f"it was shown with a lock, and {names} is in the group that it was sealed to"
            return f"{why} (record {min(ghosts.values())})", passages
        leaks = self._key_leaks(message, passages)
        if leaks:
            hop = leaks[0].hop
            return f"a private key of its group went from {hop.source} to {hop.target} (record {hop.number})", passages
        secrets = self._secret_leaks(message, passages)
        if secrets:
            hop = secrets[0].hop
            return f"{secrets[0].what} went from {hop.source} to {hop.target} (record {hop.number})", passages
        strangers = self._strangers(message)
        if strangers:
            return f"it was shown with a lock, and {', '.join(strangers)}, who is neither end of it, showed it too", ()
        return "", ()

    def _rosters(self, passages: Sequence[Passage]) -> list[GroupRoster]:
        """Of the groups that it was sealed to, each once."""
        found = (self._readings.rosters.of(each.carried) for each in passages if each.carried is not None)
        return list({roster.number: roster for roster in found if roster is not None}.values())

    def _key_leaks(self, message: UserMessage, passages: Sequence[Passage]) -> list[KeyLeak]:
        """The hops that carried a private key of a group that it was sealed to, to somebody who is no end of it."""
        if not self._readings.key_leaks:
            return []
        keys = frozenset[bytes]().union(*(roster.keys for roster in self._rosters(passages)))
        ends = self.ends(message)
        leaks = self._readings.key_leaks
        return [each for each in leaks if each.public_key in keys and not {each.hop.source, each.hop.target} <= ends]

    def _secret_leaks(self, message: UserMessage, passages: Sequence[Passage]) -> list[SecretLeak]:
        """The hops that carried a secret which opens it, to somebody who is no end of it."""
        if not self._readings.secret_leaks:
            return []
        ends = self.ends(message)
        carried = [passage.carried for passage in passages if passage.carried is not None]
        leaks = (each for each in self._readings.secret_leaks if not {each.hop.source, each.hop.target} <= ends)
        return [leak for leak in leaks if any(leak.opens(each) for each in carried)]

    def _ghosts(self, message: UserMessage, passages: Sequence[Passage]) -> dict[str, int]:
        """The numbers that are in a group that it was sealed to and are not those of its ends, each with the record
        that shows it; none where nobody can tell who the ends are."""
        own, peer = self._screens.number(message.phone, message.number), digits_of(message.peer)
        if message.is_foreign or not own or not peer:
            return {}
        ends = (own, peer)
        rosters = self._rosters(passages)
        return {each: roster.number for roster in rosters for each in sorted(roster.numbers) if each not in ends}

    def listeners(self, message: UserMessage, passages: Sequence[Passage]) -> set[str]:
        """The elements, phones or numbers that hold keys to it and are neither end."""
        found = self._ghosts(message, passages)
        phones = {number: self._screens.phones_of(number, message.number) for number in found if number}
        hops = [each.hop for each in self._key_leaks(message, passages)]
        hops += [each.hop for each in self._secret_leaks(message, passages)]
        told = {name for hop in hops for name in (hop.source, hop.target)}
        return told.union(*(names or (f"+{number}",) for number, names in phones.items()))

    def _strangers(self, message: UserMessage) -> list[str]:
        """The phones that showed it and have another number than either end."""
        if message.is_foreign:
            return []
        ends = self._own_phones(message)
        numbers = {(each.phone, self._screens.number(each.phone, each.number)) for each in message.showings}
        return sorted({phone for phone, number in numbers if number and phone not in ends})

    def _is_agreed(self, message: UserMessage, first: Passage) -> bool:
        """Whether its sender agreed to a copy in clear before that went out: then a receiver who had the sealed one
        before cannot know."""
        return any(way.number < first.hop.number for way in self._screens.ways_out(message))

    def _lock_ticks(self, message: UserMessage, display: MessageDisplay) -> list[int]:
        if display.phone == message.phone:
            return [tick.number for tick in message.ticks if tick.has_lock]
        ticks = [showing.tick for showing in message.showings if showing.phone == display.phone]
        return [tick.number for tick in ticks if tick.has_lock]

    def _has_left(self, message: UserMessage) -> bool:
        return bool(message.showings) or message.mark in _LEFT

    def _missing_lock(self, message: UserMessage, passages: Sequence[Passage]) -> Iterator[Violation]:
        """No lock, though it was sealed wherever it went."""
        if not passages or not self._has_left(message) or any(each.verdict is not Verdict.SEALED for each in passages):
            return
        for display in self.displays(message):
            if display.may_miss_lock:
                why = f"it was sealed on all of its {len(passages)} hops, and shown as {display.label or 'nothing'!r}"
                yield _violation(ViolationKind.MISSING_LOCK, message, display, why, passages)

    def _silent_loss(self, message: UserMessage, passages: Sequence[Passage]) -> Iterator[Violation]:
        """Never shown to its receiver, and its sender was not told."""
        why = self._loss(message, passages)
        if why:
            display = self.displays(message)[0]
            ticks = [message.ticks[-1].number] if message.ticks else []
            yield _violation(ViolationKind.SILENT_LOSS, message, display, why, passages[-1:], (message.number, *ticks))

    def _loss(self, message: UserMessage, passages: Sequence[Passage]) -> str:
        """Why it is lost; "" if it is not, or nobody can tell."""
        receivers = self._screens.phones_of(message.peer, message.number)
        if message.is_foreign or message.mark in _TOLD or not receivers:
            return ""
        if message.showings:
            return self._other_showing(message)
        if not self._changes.is_owed(message) or self._copies.is_merged(message, receivers):
            return ""
        if self._screens.is_wiped_after(message.phone, message.number):
            return ""  # there is no message any more of which its user could be told
        last_at = max([message.at, *(passage.hop.at for passage in passages)])
        names = ", ".join(receivers)
        if message.mark in _RECEIPTS:
            return f"shown as {message.mark} to its sender, and never shown by {names}"
        late = [phone for phone in receivers if self._screens.last_reached(phone) > last_at + _GRACE_S]
        if late and not any(self._is_gone_with(phone, passages) for phone in receivers):
            return f"its sender sees {message.mark!r}; {names} could be reached afterwards, and never showed it"
        return ""

    def _is_gone_with(self, phone: str, passages: Sequence[Passage]) -> bool:
        """Whether *phone* got it, and was reset by its user before it had to show it: nobody can know (choice)."""
        came = max((each.hop.at for each in passages if each.hop.target == phone), default=None)
        return came is not None and self._screens.is_wiped_within(phone, came, _GRACE_S)

    def _other_showing(self, message: UserMessage) -> str:
        """What was shown in its place, if nobody who it was for has got the text."""
        seen = [each for each in message.showings if each.phone in self._receivers(message)]
        if not seen:
            strangers = ", ".join(dict.fromkeys(each.phone for each in message.showings))
            return f"shown by {strangers}, and by no phone of {message.peer}"
        texts = [each for each in seen if each.tick.what == Shown.MESSAGE]
        if message.kind or not texts or any(same_text(each.text, message.text) for each in texts):
            return ""
        return f"{texts[0].phone} showed something else in its place: {texts[0].text[:_SHOWN_CHARACTERS]!r}"

    def _duplicate(self, message: UserMessage, passages: Sequence[Passage]) -> Iterator[Violation]:
        """Shown more than once on one phone."""
        by_phone: dict[tuple[str, int], list[Showing]] = {}
        for showing in message.showings:
            if showing.tick.what == Shown.MESSAGE:
                screen = showing.phone, self._screens.wipes_before(showing.phone, showing.number)
                by_phone.setdefault(screen, []).append(showing)
        for (phone, _), showings in by_phone.items():
            if len(showings) > 1:
                numbers = tuple(showing.number for showing in showings)
                how = ", ".join(showing.tick.transport or "?" for showing in showings)
                why = f"shown {len(showings)} times ({how})"
                yield Violation(ViolationKind.DUPLICATE, message, phone, why, numbers[:_MAX_EVIDENCE])

    def _is_reset_between(self, phone: str, one: int, other: int) -> bool:
        return self._screens.wipes_before(phone, one) != self._screens.wipes_before(phone, other)

    def _silent_downgrade(self, message: UserMessage, passages: Sequence[Passage]) -> Iterator[Violation]:
        """In clear from a phone that had shown its conversation as encrypted, or in the older scheme from one that had
        shown it as MLS, and nobody had ended that (digest RCC.16 §7.2, §14.12)."""
        if message.is_foreign:
            return
        left = [each for each in passages if each.hop.source == message.phone]
        weaker = (
            (self._locks, self.open_to_others(message, left), "as encrypted, and sent this in clear"),
            (self._mls_locks, [each for each in left if _is_legacy(each)], "as MLS, and sealed this as legacy"),
        )
        for moments, passed, what in weaker:
            found = self._sent_under(message, passed, moments)
            if found is not None:
                locked, first = found
                why = f"{message.phone} showed the conversation {what} without a word"
                evidence = (locked, message.number, first)
                yield Violation(ViolationKind.SILENT_DOWNGRADE, message, message.phone, why, evidence)
                return

    def _sent_under(self, message: UserMessage, passed: Sequence[Passage], moments: _Moments) -> tuple[int, int] | None:
        """The record of a lock, and the first one in which the message was sent in spite of it: its first, or one with
        which it was sent anew. Octets that only go once more were on their way before."""
        anew = [each for each in passed[1:] if self._is_sent_anew(each)]
        for number in [each.hop.number for each in (*passed[:1], *anew)] or [0]:
            locked = self._locked_before(message, number, moments)
            if locked is not None and not self._is_ended_between(message, locked, number):
                return locked, number
        return None

    def _is_sent_anew(self, passage: Passage) -> bool:
        """Not so of a part of something that had begun before."""
        carried = passage.carried
        is_all = carried is not None and carried.is_whole and not carried.is_derived
        return is_all and passage.hop.number not in self._readings.repeats

    def _locked_before(self, message: UserMessage, number: int, locks: _Moments) -> int | None:
        """The last record before *number* that says so of the conversation and is not about the message itself."""
        moments = locks.get((message.phone, message.peer), ())
        place = bisect_left(moments, (number, 0)) - 1
        while place >= 0 and moments[place][1] == message.number:
            place -= 1
        return moments[place][0] if place >= 0 else None

    def _is_ended_between(self, message: UserMessage, locked: int, first: int) -> bool:
        """A phone that was reset remembers nothing."""
        ways = self._screens.ways_out(message)
        return self._is_reset_between(message.phone, locked, first) or any(locked <= w.number < first for w in ways)


_Rule = Callable[[OracleRules, UserMessage, Sequence[Passage]], Iterator[Violation]]
_RULES: tuple[_Rule, ...] = (
    OracleRules._lying_lock,
    OracleRules._missing_lock,
    OracleRules._silent_loss,
    OracleRules._duplicate,
    OracleRules._silent_downgrade,
)


def _is_legacy(passage: Passage) -> bool:
    return passage.carried is not None and scheme_of(passage.carried.media_type) == "legacy"


def _lock_moments(readings: Readings, is_lock: Callable[[Label | Tick], bool]) -> _Moments:
    """The records by which a phone's user took a conversation for encrypted, ascending: labels, and messages that were
    shown with a lock of their own. One that came sealed into a conversation whose label has no lock any more was on its
    way when that ended: it promises nothing. One that waited for the lock promises it from its first tick with one.
    Each is beside the number of the message of the user that it is about, or 0."""
    found: dict[tuple[str, str], list[tuple[int, int]]] = {}
    screens = readings.screens
    for key, labels in screens.conversations():
        found[key] = [(label.number, 0) for label in labels if is_lock(label)]
    for message in screens.sent:
        moment = _promised_at(screens, message, is_lock)
        if moment is not None:
            found.setdefault((message.phone, message.peer), []).append((moment, message.number))
    for showing in screens.showings:
        label = screens.label_at(showing.phone, showing.peer, showing.number)
        if is_lock(showing.tick) and (label is None or label.has_lock):
            found.setdefault((showing.phone, showing.peer), []).append((showing.number, 0))
    return {key: sorted(numbers) for key, numbers in found.items()}


def _promised_at(screens: Screens, message: UserMessage, is_lock: Callable[[Label | Tick], bool]) -> int | None:
    """The record by which a message of the user promises a lock: itself where it was written under such a one, else its
    first tick with one, unless the label had none any more by then."""
    tick = next((tick for tick in message.ticks if is_lock(tick)), None)
    for number in () if tick is None else (message.number, tick.number):
        label = screens.label_at(message.phone, message.peer, number)
        if label is None or is_lock(label):
            return number
    return None


def _told_readers(passages: Sequence[Passage]) -> str:
    names = dict.fromkeys(name for passage in passages for name in (passage.hop.source, passage.hop.target))
    ways = dict.fromkeys(passage.how for passage in passages)
    return f"readable ({', '.join(ways)}) at {', '.join(names)}"


def _violation(
    kind: ViolationKind,
    message: UserMessage,
    display: MessageDisplay,
    why: str,
    passages: Sequence[Passage],
    first: tuple[int, ...] = (),
) -> Violation:
    numbers = (*(first or (display.number,)), *(passage.hop.number for passage in passages))
    return Violation(kind, message, display.phone, why, tuple(dict.fromkeys(numbers))[:_MAX_EVIDENCE])
