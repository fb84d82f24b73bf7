"""Which of many texts stand in given octets: one look-up for every four octets, however many texts there are."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias
from unicodedata import normalize

from rcs_sim.scenario.oracle_encodings import TextEncoding, patterns_of

__all__ = ["MIN_SEARCHED_OCTETS", "TextFound", "TextIndex", "is_distinctive"]

_GRAM = 4
_SHIFTS = _GRAM  # any occurrence of _GRAM + _SHIFTS - 1 octets covers a whole word of the octets that are searched
_WINDOWS = (32, 16, 8)  # octets by which a form of a text is known, the longest that it has
_MAX_ALIKE = 64  # forms that share all windows: more are not told apart, and such a text is not searched for
MIN_SEARCHED_OCTETS = _WINDOWS[-1]  # a shorter form stands in anything by chance (choice)

_DIFFERENT_WIDE_CHARACTERS = 4  # of a text that is not all ASCII
_ONE_WORD_OCTETS, _DIFFERENT_CHARACTERS = 16, 5  # of a text that is not in messages anyway, as names of headers are

_ORDER: Literal["little", "big"] = "little" if sys.byteorder == "little" else "big"

_PIECE_CHARACTERS, _WIDE_PIECE_CHARACTERS = 28, 12  # of ASCII and of other texts (choice)
_MAX_PIECES = 64
_COMPOSITIONS: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")
_UNUSUAL = frozenset("!?&#$%*'\"()[]{}|~^`")  # in a word: no name in a protocol has these

_Known: TypeAlias = dict[bytes, list[tuple[str, str, bytes, TextEncoding]]]


@dataclass(frozen=True, slots=True)
class TextFound:
    """*text* stands in the octets, written as *encoding* says, or *piece*, which is a part of it."""

    text: str
    encoding: TextEncoding
    piece: str


def is_distinctive(text: str) -> bool:
    """Whether *text*, found anywhere, was hardly put there by anything but its author: several words, or one long one,
    or one with signs that names in a protocol do not have (choice)."""
    octets = len(text.encode("utf-8", "replace"))
    is_plain = len(text.split()) < 2 and text.isascii() and _UNUSUAL.isdisjoint(text)
    different = _DIFFERENT_CHARACTERS if text.isascii() else _DIFFERENT_WIDE_CHARACTERS
    return octets >= (_ONE_WORD_OCTETS if is_plain else MIN_SEARCHED_OCTETS) and len(set(text)) >= different


def _pieces_of(text: str) -> Iterator[str]:
    """Parts of a long text: whatever is quoted of it and is twice as long has one of them in it."""
    length = _PIECE_CHARACTERS if text.isascii() else _WIDE_PIECE_CHARACTERS
    starts = range(0, len(text) - length + 1, length) if len(text) >= 2 * length else range(0)
    for start in starts[:_MAX_PIECES]:
        piece = text[start : start + length].strip()
        if is_distinctive(piece):
            yield piece


def _forms_of(text: str) -> Iterator[tuple[bytes, TextEncoding]]:
    """Those of any encoding, and what a reader takes for the same: other capitals, other line ends, composed or not."""
    for pattern in patterns_of(text):
        yield pattern.octets, pattern.encoding
    lines = text.replace("\r\n", "\n")
    others = text.lower(), text.upper(), lines.replace("\n", "\r\n"), " ".join(text.split())
    forms = dict.fromkeys((*others, *(normalize(form, text) for form in _COMPOSITIONS)))
    for form in forms:
        if form != text:
            yield form.encode("utf-8", "replace"), TextEncoding.UTF_8


class TextIndex:
    """Texts to be searched for. *not_searched* are those that are not distinctive, or too many of a kind."""

    __slots__ = ("_classes", "_grams", "_known", "_pieces", "not_searched")

    def __init__(self, texts: Iterable[str]) -> None:
        self._known: _Known = {}  # by window
        self._classes: dict[int, set[tuple[int, int]]] = {}  # by gram: where in which length of window it stands
        self.not_searched: set[str] = set()
        wanted = dict.fromkeys(texts)
        of_texts = Counter(piece for text in wanted for piece in dict.fromkeys(_pieces_of(text)))
        self._pieces = frozenset(piece for piece, count in of_texts.items() if count == 1)
        for text in wanted:
            if not self._add(text):
                self.not_searched.add(text)
        self._grams = frozenset(self._classes)

    def _add(self, text: str) -> bool:
        """Whether *text* is searched for."""
        is_known = False
        for octets, encoding in _forms_of(text) if is_distinctive(text) else ():
            if len(octets) >= MIN_SEARCHED_OCTETS:
                is_known |= self._add_form(text, text, octets, encoding)
        for piece in _pieces_of(text) if is_known else ():
            if piece in self._pieces:
                self._add_form(text, piece, piece.encode("utf-8", "replace"), TextEncoding.UTF_8)
        return is_known

    def _add_form(self, text: str, piece: str, octets: bytes, encoding: TextEncoding) -> bool:
        width = next(width for width in _WINDOWS if width <= len(octets))
        starts = dict.fromkeys((0, len(octets) - width, (len(octets) - width) // 2, (len(octets) - width) // 4))
        windows = [octets[start : start + width] for start in starts]
        best = min(windows, key=lambda window: len(self._known.get(window, ())))
        alike = self._known.setdefault(best, [])
        if len(alike) >= _MAX_ALIKE:
            return False
        alike.append((text, piece, octets, encoding))
        for shift in range(_SHIFTS):
            gram = int.from_bytes(best[shift : shift + _GRAM], _ORDER)
            self._classes.setdefault(gram, set()).add((shift, width))
        return True

    def find(self, octets: bytes) -> list[TextFound]:
        """The texts in *octets*, each once."""
        if not self._grams or len(octets) < MIN_SEARCHED_OCTETS:
            return []
        words = memoryview(octets)[: len(octets) // _GRAM * _GRAM].cast("I")
        hits = self._grams.intersection(words)
        if not hits:
            return []
        found: dict[str, TextFound] = {}
        for window in self._windows_at(octets, words, hits):
            for text, piece, form, encoding in self._known.get(window, ()):
                known = found.get(text)
                if (known is None or (piece == text and known.piece != text)) and form in octets:
                    found[text] = TextFound(text, encoding, piece)
        return list(found.values())

    def _windows_at(self, octets: bytes, words: memoryview, hits: frozenset[int]) -> Iterator[bytes]:
        seen = set()
        for place, word in enumerate(words):
            if word not in hits:
                continue
            for shift, width in self._classes[word]:
                start = place * _GRAM - shift
                window = octets[start : start + width] if start >= 0 else b""
                if window in self._known and window not in seen:
                    seen.add(window)
                    yield window
