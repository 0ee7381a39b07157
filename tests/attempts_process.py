"""Somebody who tries wrong passwords at another process: `python -m tests.attempts_process`.

Takes a mail address and how often; prints how often it was let try.
"""

import sys

import django


def main(address: str, times: int) -> None:
    from django.test import Client

    from chatweb import installation

    installation.collect_static()  # the page that says no is dressed as it is when served
    tried = 0
    for _ in range(times):
        form = {"login": address, "password": "wrong"}
        answer = Client().post("/accounts/login/", form)
        tried += "do not belong together" in answer.content.decode()
    print(f"tried {tried}", flush=True)


if __name__ == "__main__":
    django.setup()
    main(sys.argv[1], int(sys.argv[2]))
