from __future__ import annotations

from dataclasses import replace

from tests.rcs_sim.server.messaging_lab import CONFIG
from tests.rcs_sim.server.session_lab import on_virtual_time, session_lab


@on_virtual_time
async def test_tls_is_offered_where_the_carrier_wants_it_and_the_anchor_listens_for_it() -> None:
    for wants in (False, True):
        async with session_lab(config=replace(CONFIG, msrp_tls=wants)) as lab:
            services = lab.server.core.sessions.services  # type: ignore[union-attr]  # there is one
            assert services.offers_tls is False  # this relay listens for plain TCP alone
            assert services.context is lab.server.core.context
