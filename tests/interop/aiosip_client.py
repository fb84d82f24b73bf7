"""An aiosip client: registers over UDP, sends one text/plain MESSAGE, prints the answers, and ends.

Arguments: P-CSCF host:port, own port, own SIP URI, password, SIP URI of the other.
"""

from __future__ import annotations

import asyncio
import collections
import collections.abc
import sys
import types

asyncio.coroutine = types.coroutine  # type: ignore[attr-defined]  # gone in Python 3.11
collections.MutableMapping = collections.abc.MutableMapping  # type: ignore[attr-defined]  # gone in Python 3.10

import aiosip  # type: ignore[import-untyped]  # noqa: E402  after the two lines that it needs

_WITHIN_S = 10


async def _main(pcscf: str, port: str, own: str, password: str, other: str) -> None:
    host, _, pcscf_port = pcscf.rpartition(":")
    places = {"local_addr": ("127.0.0.1", int(port)), "remote_addr": (host, int(pcscf_port))}
    contact = f"<sip:{own.partition(':')[2].partition('@')[0]}@127.0.0.1:{port}>"
    app = aiosip.Application()
    for method, target in (("REGISTER", own), ("MESSAGE", other)):
        dialog = await app.start_dialog(own, target, contact_uri=contact, password=password, **places)
        sent = dialog.register() if method == "REGISTER" else _text(dialog)
        answer = await asyncio.wait_for(sent, _WITHIN_S)
        print(method, answer.status_code, flush=True)


def _text(dialog: aiosip.Dialog) -> asyncio.Future[aiosip.Response]:
    answer: asyncio.Future[aiosip.Response] = dialog.send_message(
        "MESSAGE", content_type="text/plain", payload="hello from aiosip"
    )
    return answer


asyncio.run(_main(*sys.argv[1:]))
