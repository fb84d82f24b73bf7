from __future__ import annotations

from ims_core.nodes.scscf_config import ScscfConfig


def test_defaults_are_those_of_digest_18() -> None:
    config = ScscfConfig(name="s", home_domain="x", uri="sip:s", listen=())
    assert (config.granted_s, config.min_s, config.await_auth_s, config.max_auth_failures) == (3600, 60, 240.0, 3)
