"""Where in a text a YAML parser has failed that does not say it: nesting, aliases, characters, values of a type."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

__all__ = ["deepest_place", "first_alias", "place_in", "place_of_failure"]

Place = tuple[int, int]
"""Line and column, from 1."""

_DEEP = 50  # brackets in each other: where a text that is nested too deeply is said to be so
_MARKS = re.compile(r"""\"(?:[^"\\]|\\.)*\"|'[^']*'|\#[^\n]*|[\[\]{}]""")
_ALIAS = re.compile(r"""(?<![\w"'])\*[^\s,\[\]{}]""")
_TYPED = ("int", "float", "timestamp")  # scalars that can be wrong in themselves


def place_in(text: str, index: int) -> Place:
    """Of the character at *index*."""
    return text.count("\n", 0, index) + 1, index - (text.rfind("\n", 0, index) + 1) + 1


def first_alias(text: str) -> Place:
    """Of what makes a small text large, or endless; the start of the text if there is none."""
    found = _ALIAS.search(text)
    return place_in(text, 0 if found is None else found.start())


def deepest_place(text: str) -> Place:
    """Where brackets are first nested deeply, else where the line begins that is indented most."""
    depth = 0
    for mark in _MARKS.finditer(text):
        if mark[0] in "[{":
            depth += 1
            if depth == _DEEP:
                return place_in(text, mark.start())
        elif mark[0] in "]}":
            depth -= 1
    lines = text.split("\n")
    indents = [len(line) - len(line.lstrip(" ")) for line in lines]
    most = max(indents)
    return indents.index(most) + 1, most + 1


def place_of_failure(text: str, error: Exception) -> Place:
    """Of the character that is not allowed, or of the value that is none of its type; else the start of the text."""
    if isinstance(error, ReaderError):
        return place_in(text, int(error.position))
    for node in _scalars(text):
        try:
            YAML(typ="rt").load(node.value)
        except (YAMLError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError):
            return node.start_mark.line + 1, node.start_mark.column + 1
    return 1, 1


def _scalars(text: str) -> Iterator[Any]:
    """Plain scalars of the types that can be wrong, in the order of the text."""
    try:
        waiting = [YAML(typ="rt").compose(text)]
    except YAMLError:
        return
    seen: set[int] = set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, ScalarNode):
            if str(node.tag).rpartition(":")[2] in _TYPED and not node.style:
                yield node
        elif isinstance(node, SequenceNode):
            waiting += reversed(node.value)
        elif isinstance(node, MappingNode):
            waiting += [each for pair in reversed(node.value) for each in reversed(pair)]
