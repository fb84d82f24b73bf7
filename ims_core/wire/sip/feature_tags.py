"""Media feature tags of a Contact and the caller preferences that match them (RFC 3840, RFC 3841)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from ims_core.wire.sip.address_headers import Contact
from ims_core.wire.sip.grammar import SipParseError, quote, unquote
from ims_core.wire.sip.header import Header, TokenList, split_params
from ims_core.wire.sip.memo import Memo
from ims_core.wire.sip.params import NO_PARAMS, Params
from ims_core.wire.sip.uri import escape, unescape

__all__ = ["AcceptContact", "FeatureSet", "RejectContact", "RequestDisposition", "is_feature_tag", "select_contacts"]

# base-tags (RFC 3840 §9): only these are written without "+"
_BASE_TAGS = frozenset(
    (
        *("audio", "automata", "class", "duplex", "data", "control", "mobility", "description", "events", "priority"),
        *("methods", "schemes", "application", "video", "language", "type", "isfocus", "actor", "text", "extensions"),
    )
)
_PERCENT_ENCODED = frozenset(("+g.3gpp.icsi-ref", "+g.3gpp.iari-ref"))  # TS 24.229 §7.9.2
_MOST_COMPARED = 32  # values of one tag that are compared one by one, because they are negated or numeric
_TRUE = "TRUE"  # what a tag without value stands for (RFC 3840 §9)
_NUMERIC = re.compile(
    r"#(?:(<=|>=|=)([-+]?[0-9]{1,15}(?:\.[0-9]{1,9})?)|([-+]?[0-9]{1,15}(?:\.[0-9]{1,9})?):([-+]?[0-9]{1,15}(?:\.[0-9]{1,9})?))"
)
_URN_CHARACTERS = re.compile(
    r"[-.!*_+`'~0-9A-Za-z]"
)  # token without "%": what stays plain inside icsi-ref and iari-ref


def _read_values(text: str) -> frozenset[str]:
    """The values of a tag: a string in <> is one, with its case; else a comma list, percent-decoded, lower case."""
    if text.startswith("<") and text.endswith(">"):
        return frozenset((text,))
    return frozenset([unescape(value.strip()).lower() for value in text.split(",")])


_tag_values: Memo[frozenset[str]] = Memo(_read_values)


def _values(text: str | None) -> frozenset[str]:
    if text is None:
        return _VALUELESS
    return _tag_values[unquote(text)]


_VALUELESS = frozenset((_TRUE.lower(),))


def is_feature_tag(name: str) -> bool:
    """Whether a Contact parameter of that name is a feature tag rather than q, expires and the like."""
    return name.startswith("+") or name.lower() in _BASE_TAGS


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """What a contact can do: (tag, values) pairs, tags in lower case, values decoded; "true" if it has no value."""

    features: tuple[tuple[str, frozenset[str]], ...] = ()

    @classmethod
    def of_params(cls, params: Params) -> Self:
        """The feature tags among these parameters. A tag that comes several times has the values of all."""
        merged: dict[str, frozenset[str]] = {}
        for name, value in params:
            if is_feature_tag(name):
                tag = name.lower()
                merged[tag] = merged[tag] | _values(value) if tag in merged else _values(value)
        return cls(tuple(merged.items()))

    @classmethod
    def of_contact(cls, contact: Contact) -> Self:
        """The feature tags of a Contact (RFC 3840 §6)."""
        return cls.of_params(contact.params)

    @classmethod
    def of(cls, tags: Mapping[str, Iterable[str]]) -> Self:
        """From tags and their plain values, such as {"+g.3gpp.icsi-ref": ["urn:urn-7:..."], "+g.oma.sip-im": []}."""
        return cls(tuple((tag.lower(), frozenset(map(_folded, values)) or _VALUELESS) for tag, values in tags.items()))

    def has(self, tag: str, value: str | None = None) -> bool:
        """Whether the tag is there, with *value* (decoded, any case) among its values if one is given."""
        values = self.values(tag)
        return bool(values) if value is None else _folded(value) in values

    def values(self, tag: str) -> frozenset[str]:
        """The decoded values of a tag; empty if it is absent."""
        wanted = tag.lower()
        return next((values for known, values in self.features if known == wanted), frozenset())

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags, in order and lower case."""
        return tuple(tag for tag, _ in self.features)

    def union(self, other: FeatureSet) -> FeatureSet:
        """What either can do: how an AS answers OPTIONS for several devices."""
        merged = dict(self.features)
        for tag, values in other.features:
            merged[tag] = merged.get(tag, frozenset()) | values
        return FeatureSet(tuple(merged.items()))

    def without(self, *tags: str) -> FeatureSet:
        """The same without these tags."""
        gone = {tag.lower() for tag in tags}
        return FeatureSet(tuple(feature for feature in self.features if feature[0] not in gone))

    def to_params(self) -> Params:
        """As Contact parameters, one per tag, values in sorted order (digest §0.4.1)."""
        return Params(tuple((tag, _encoded(tag, values)) for tag, values in self.features))

    def __bool__(self) -> bool:
        return bool(self.features)


def _folded(value: str) -> str:
    return value if value.startswith("<") else value.lower()


def _encoded(tag: str, values: frozenset[str]) -> str | None:
    if values == _VALUELESS:
        return None
    plain = tag not in _PERCENT_ENCODED
    return quote(",".join(value if plain else escape(value, _URN_CHARACTERS) for value in sorted(values)))


def _interval(value: str) -> tuple[float, float] | None:
    """A numeric value of RFC 3840 §9 as its bounds; None for other text."""
    found = _NUMERIC.fullmatch(value)
    if found is None:
        return None
    relation, bound, low, high = found.groups()
    if relation is None:
        return float(low), float(high)
    return (
        float("-inf") if relation == "<=" else float(bound),
        float("inf") if relation == ">=" else float(bound),
    )


def _is_compatible(one: str, other: str) -> bool:
    """Whether a feature can have a value that both allow (RFC 2533 §4.1)."""
    if one.startswith("!") or other.startswith("!"):
        return one.startswith("!") == other.startswith("!") or one.lstrip("!") != other.lstrip("!")
    left, right = _interval(one), _interval(other)
    if left is None or right is None:
        return one == other
    return left[0] <= right[1] and right[0] <= left[1]


def _overlap(some: frozenset[str], others: frozenset[str]) -> bool:
    """Whether any of *some* is compatible with any of *others*."""
    if not some.isdisjoint(others):
        return True
    special, other_special = _negated_or_numeric(some), _negated_or_numeric(others)
    return any(_is_compatible(one, other) for one in special for other in (*other_special, *_few(others))) or any(
        _is_compatible(one, other) for other in other_special for one in _few(some)
    )


def _negated_or_numeric(values: frozenset[str]) -> list[str]:
    return [value for value in _few(values) if value[:1] in ("!", "#")]


def _few(values: frozenset[str]) -> list[str]:
    """At most as many as are compared one by one: a hostile list must not cost the square of its length."""
    return sorted(values)[:_MOST_COMPARED]


@dataclass(frozen=True, slots=True)
class _ContactPreference(Header):
    IS_LIST = True
    params: Params = NO_PARAMS

    @classmethod
    def parse(cls, text: str) -> Self:
        star, params = split_params(text)
        if star != "*":
            raise SipParseError(f"{cls.NAME} does not begin with *", raw=text, spec="RFC 3841 §9.2")
        return cls(params)

    @classmethod
    def of(cls, tags: Mapping[str, Iterable[str]], *, require: bool = False, explicit: bool = False) -> Self:
        """For these tags and their plain values."""
        params = FeatureSet.of(tags).to_params()
        params = params.with_("require") if require else params
        return cls(params.with_("explicit") if explicit else params)

    @property
    def terms(self) -> tuple[tuple[str, frozenset[str]], ...]:
        """The features that are asked for: all of them, each with one of its values."""
        return tuple((name.lower(), _values(value)) for name, value in self.params if is_feature_tag(name))

    def __str__(self) -> str:
        return f"*{self.params}"


class AcceptContact(_ContactPreference, name="Accept-Contact"):
    """One value of Accept-Contact (RFC 3841 §9.2)."""

    __slots__ = ()

    @property
    def is_required(self) -> bool:
        return self.params.has("require")

    @property
    def is_explicit(self) -> bool:
        return self.params.has("explicit")

    def matches(self, features: FeatureSet) -> bool:
        """Whether a contact of these features may get the request under this preference (RFC 3841 §7.2.4).

        False where the contact contradicts it, or, if it is explicit, does not name each tag of it. A contact without
        any feature is immune, unless it is both required and explicit. What a mismatch means depends on is_required:
        with it the contact is out, without it others come first (see select_contacts)."""
        if not features:
            return not (self.is_required and self.is_explicit)
        is_explicit = self.is_explicit
        for tag, wanted in self.terms:
            present = features.values(tag)
            if not present and is_explicit:
                return False
            if present and not _overlap(wanted, present):
                return False
        return True

    def score(self, features: FeatureSet) -> float:
        """The part of the terms that the contact names and fulfils, from 0 to 1 (RFC 3841 §7.2.4)."""
        terms = self.terms
        if not terms:
            return 1.0
        return sum(_overlap(wanted, features.values(tag)) for tag, wanted in terms) / len(terms)


class RejectContact(_ContactPreference, name="Reject-Contact"):
    """One value of Reject-Contact (RFC 3841 §9.3)."""

    __slots__ = ()

    def matches(self, features: FeatureSet) -> bool:
        """Whether a contact of these features is ruled out: it names every tag of this and has a value of each."""
        terms = self.terms
        return bool(terms) and all(_overlap(wanted, features.values(tag)) for tag, wanted in terms)


class RequestDisposition(TokenList, name="Request-Disposition"):
    """Request-Disposition (RFC 3841 §9.1): directives such as no-fork."""

    __slots__ = ()


def select_contacts(
    contacts: Sequence[Contact], accepts: Iterable[AcceptContact] = (), rejects: Iterable[RejectContact] = ()
) -> list[Contact]:
    """The contacts that may get a request, best first (RFC 3841 §7.2): by their q, then by how well they fit."""
    accepts, rejects = tuple(accepts), tuple(rejects)
    ranked = []
    for contact in contacts:
        features = FeatureSet.of_contact(contact)
        if any(reject.matches(features) for reject in rejects):
            continue
        if all(accept.matches(features) or not accept.is_required for accept in accepts):
            fit = sum(accept.score(features) for accept in accepts)
            ranked.append((contact.q, fit, contact))
    ranked.sort(key=lambda entry: entry[:2], reverse=True)
    return [contact for _, _, contact in ranked]
