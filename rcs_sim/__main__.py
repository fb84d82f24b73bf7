"""`python -m rcs_sim` is the `rcs-sim` command."""

from rcs_sim.cli import main

if __name__ == "__main__":
    main()
