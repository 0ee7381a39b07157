"""A scripted upstream: a real server on loopback that can play every quirk seen in the wild."""

from .server import ScriptedUpstream

__all__ = ["ScriptedUpstream"]
