from __future__ import annotations

from ims_core.nodes.decision import Reject, ResponseHook, Target
from ims_core.transport.link import Address, Transport
from ims_core.transport.sip_stack import Hop
from ims_core.wire.sip.editor import Editor
from ims_core.wire.sip.message import Response
from tests.support.core_cases import NOW, make_request


def test_a_hook_does_nothing_unless_a_node_wants_it() -> None:
    target = Target(make_request("MESSAGE", "sip:b@x"), Hop(address=Address(Transport.TCP, "10.0.0.1", 5060)))
    response = Response.new(404)
    editor = response.edit()
    ResponseHook().edit(editor, response, target)
    assert ResponseHook().replace(response, target, NOW) is None
    assert editor.done().encode() == response.edit().done().encode()


def test_a_hook_tells_whether_it_edits() -> None:
    class Silent(ResponseHook):
        pass

    class Loud(ResponseHook):
        def edit(self, editor: Editor[Response], response: Response, target: Target) -> None:
            editor.remove("Server")

    assert (ResponseHook.EDITS, Silent.EDITS, Loud.EDITS) == (False, False, True)


def test_decisions_are_values() -> None:
    assert Reject(404) == Reject(404)
    assert len({Reject(404), Reject(404), Reject(480)}) == 2
