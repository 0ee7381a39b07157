#!/usr/bin/env python
"""Chatweb's command line: `manage.py start` is the one to begin with."""

import os
import sys


def main() -> None:
    os.umask(0o077)  # conversations and keys are for this account alone, whatever DATA_DIR allows
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatweb.settings")
    if sys.argv[1:2] == ["serve"]:
        os.environ.setdefault("SECURE", "on")  # before the settings are read; `start` is for trying
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
