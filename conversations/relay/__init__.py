"""Runs generations: claims them, reads the upstream, keeps the text, tells the viewers, settles.

An answer belongs to the relay and not to any socket. A relay lives on the event loop of a process
that serves pages, or in one of its own; what it knows about an answer beyond the table is at most a
second old text and the number of its last frame.
"""

from conversations.relay.duty import Duty, learn_models
from conversations.relay.relay import Relay

__all__ = ["Duty", "Relay", "learn_models"]
