from __future__ import annotations

from ims_core.nodes.header_group import HeaderGroup
from tests.support.core_cases import make_request


def test_a_group_is_taken_away_and_the_rest_stays() -> None:
    group = HeaderGroup("P-Asserted-Identity", "Path")
    request = make_request("MESSAGE", "sip:b@x", ("P-Asserted-Identity", "<sip:a@x>"), ("Path", "<sip:p>"), ("X", "1"))
    editor = request.edit()
    group.strip(editor, request)
    left = editor.done()
    assert not left.has("Path")
    assert not left.has("P-Asserted-Identity")
    assert left.text("X") == "1"
