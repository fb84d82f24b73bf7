"""Simulations, scenarios and reports: the only place that composes a whole network."""
