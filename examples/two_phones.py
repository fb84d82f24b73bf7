"""Two phones of two carriers: a message, its receipts, and what each of them shows."""

import rcs_sim


async def main() -> None:
    async with rcs_sim.Simulation(network="two-carriers", seed=7) as sim:
        alice = await sim.add_phone("alice", device="android", carrier="red", msisdn="+12025550101")
        bob = await sim.add_phone("bob", device="ios", carrier="blue", msisdn="+12025550152", reads_after_s=1.0)
        message = await alice.chat(bob).send("hello")
        await message.displayed(within_s=5)
        for change in message.history:
            print(f"{change.at - message.created_at:6.3f} s  {change.state.value:10} by {change.transport.value}")


rcs_sim.run(main, clock="virtual")
