"""A small IMS core: network functions and the signalling they speak. Knows nothing of RCS or MLS.

PYTEST_DONT_REWRITE (see rcs_sim)
"""
