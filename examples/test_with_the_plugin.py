"""Tests of two phones with the pytest plugin: `pytest examples/test_with_the_plugin.py` needs no further set-up."""

import pytest


async def test_the_lock_says_the_truth(rcs_simulation, two_phones, operator_view):
    alice, bob = two_phones
    message = await alice.chat(bob).send("hello")
    await message.delivered(within_s=5)
    assert alice.chat(bob).label == "RCS · encrypted"
    assert rcs_simulation.oracle.readers(message) == {"alice", "bob"}
    assert operator_view.could_read(message) == set()


async def test_a_lock_outlives_an_outage_of_the_key_server(rcs_simulation, two_phones):
    alice, bob = two_phones
    await (await alice.chat(bob).send("before")).delivered(within_s=5)
    async with rcs_simulation.fault("kds.down", carrier="blue"):
        during = await alice.chat(bob).send("during")
        await during.delivered(within_s=5)
    assert during.label == "RCS · encrypted"


@pytest.mark.rcs(network="two-carriers-plain", devices=["android", "android"])
async def test_without_encryption_both_operators_can_read(two_phones, operator_view):
    alice, bob = two_phones
    message = await alice.chat(bob).send("hello")
    await message.delivered(within_s=5)
    assert alice.chat(bob).label == "RCS"
    assert operator_view.could_read(message) == {"red", "blue"}


@pytest.mark.fault("net.latency", add_s=2.0, of="bob")
async def test_a_slow_link_delays_and_loses_nothing(two_phones):
    alice, bob = two_phones
    message = await alice.chat(bob).send("are you there?")
    await message.delivered(within_s=60)
    assert [each.text for each in bob.chat(alice).messages] == ["are you there?"]


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__, "-v", "-p", "no:cacheprovider"]))
