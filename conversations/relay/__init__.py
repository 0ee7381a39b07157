"""Runs generations: claims them, reads the upstream, keeps the text, tells the viewers, settles.

An answer belongs to the relay and not to any socket. One relay lives on the event loop of the
process that serves pages; what it knows about an answer beyond the table is at most a second old
text and the number of its last frame.
"""

from conversations.relay.relay import Relay

__all__ = ["Relay"]
