"""URI comparison against the public cases (RFC 3261 §19.1.4, RFC 3966 §4) and the identity keys of the digest."""

from __future__ import annotations

from typing import Any

import pytest

from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.uri import identity_key, parse_uri
from tests.support.vectors import load_vectors

_COMPARISONS = load_vectors("rcs/uri_comparison.json")
_CASES = [*_COMPARISONS["sip"], *_COMPARISONS["tel"]]


@pytest.mark.parametrize("case", _CASES, ids=lambda case: f"{case['a']} {case['b']}")
def test_comparison_is_that_of_the_rfc(case: dict[str, Any]) -> None:
    if case["equal"] is None:
        with pytest.raises(SipParseError):
            parse_uri(case["b"])
        return
    one, other = parse_uri(case["a"]), parse_uri(case["b"])
    assert one.same_as(other) is case["equal"]
    assert other.same_as(one) is case["equal"]
    assert one.same_as(one)


@pytest.mark.parametrize("case", _COMPARISONS["identity_key"]["cases"], ids=lambda case: case["uri"])
def test_identity_key_is_the_one_of_the_vectors(case: dict[str, Any]) -> None:
    homes = frozenset(_COMPARISONS["identity_key"]["home_domains"])
    uri = parse_uri(case["uri"])
    assert identity_key(uri, homes) == (case["key"] or "")
    assert identity_key(uri) == (case["key"] or "")  # these home domains have the form of TS 23.003
