"""Half an hour without the IMS core: the text goes as SMS at once, and RCS is back by itself. Takes well under 2 s."""

import asyncio

import rcs_sim


async def main() -> None:
    async with rcs_sim.Simulation(network="two-carriers", seed=7) as sim:
        alice = await sim.add_phone("alice", device="android", carrier="red", msisdn="+12025550101")
        bob = await sim.add_phone("bob", device="ios", carrier="blue", msisdn="+12025550152", reads_after_s=1.0)
        chat = alice.chat(bob)
        async with sim.partition("red.pcscf"):
            message = await (await chat.send("can you read this?")).final(within_s=600)
            print(f"during the outage: by {message.transport.value}, because {message.reason.value}")
            await asyncio.sleep(1800)
        await asyncio.sleep(1800)
        message = await (await chat.send("and this?")).displayed(within_s=60)
        print(f"after the outage: by {message.transport.value}")


rcs_sim.run(main, clock="virtual")
