"""Load, check, act, render."""
