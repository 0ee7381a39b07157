"""What the portal costs and how quick it is, on this machine: `python -m tests.bench relay`.

Upstream, portal and people are processes of their own on loopback. Beside the portal stands the
floor: a bare relay that reads the same upstream with the same transport and passes each read on as
it is, with no tables, no rendering and no fan-out.
"""
