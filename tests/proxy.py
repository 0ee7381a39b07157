"""nginx with the repository's own configuration: only names, ports, paths and certificate are the
test's. From Debian's package, on loopback; ended with whoever started it."""

import os
import pwd
import re
import shutil
import socket
from collections.abc import Sequence
from contextlib import suppress

from tests.certificates import self_signed
from tests.engines import Missing, Server
from tests.processes import ROOT

DEPLOY = ROOT / "deploy"

# What Debian's nginx.conf brings around a site, as far as it matters here.
AROUND = """
user {user};
worker_processes 2;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    gzip on;
    default_type application/octet-stream;
    client_body_temp_path {folder}/temp-body;
    proxy_temp_path {folder}/temp-proxy;
    fastcgi_temp_path {folder}/temp-fastcgi;
    uwsgi_temp_path {folder}/temp-uwsgi;
    scgi_temp_path {folder}/temp-scgi;
    include {folder}/site.conf;
}}
"""


class Nginx(Server):
    """Listens for TLS on `port` and for plain HTTP on `plain_port`."""

    def __init__(self, upstreams: Sequence[int]) -> None:
        path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])
        found = shutil.which("nginx", path=path)
        if found is None:
            raise Missing("nginx is not installed: apt-get install nginx")
        self._program = found
        super().__init__()
        self.plain_port = self.port
        while self.plain_port == self.port:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.plain_port = probe.getsockname()[1]
        self.certificate, self._key = self_signed(self.folder)
        self._write(upstreams)

    @property
    def address(self) -> str:
        return f"https://localhost:{self.port}"

    @property
    def access_log(self) -> str:
        return (self.folder / "access.log").read_text()

    @property
    def error_log(self) -> str:
        return (self.folder / "error.log").read_text()

    def _write(self, upstreams: Sequence[int]) -> None:
        user = pwd.getpwuid(os.geteuid()).pw_name
        around = AROUND.format(folder=self.folder, user=user)
        if os.geteuid() != 0:
            around = around.replace(f"user {user};\n", "")  # only root may choose
        (self.folder / "nginx.conf").write_text(around)
        listed = (DEPLOY / "upstream.conf").read_text()
        for port, ours in zip(ports_in(listed), upstreams, strict=True):
            listed = listed.replace(f"127.0.0.1:{port} ", f"127.0.0.1:{ours} ")
        (self.folder / "upstream.conf").write_text(listed)
        site = (DEPLOY / "nginx.conf").read_text()
        for theirs, value in {
            r"^ *listen \[::\].*\n": "",  # not every machine has IPv6
            r"listen 80;": f"listen 127.0.0.1:{self.plain_port};",
            r"listen 443 ": f"listen 127.0.0.1:{self.port} ",
            r"server_name chat\.example;": "server_name localhost;",
            r"/etc/nginx/chatweb/fullchain\.pem": str(self.certificate),
            r"/etc/nginx/chatweb/privkey\.pem": str(self._key),
            r"/etc/nginx/chatweb/upstream\.conf": str(self.folder / "upstream.conf"),
            r"/var/log/nginx/": f"{self.folder}/",
        }.items():
            site, count = re.subn(theirs, value, site, flags=re.MULTILINE)
            assert count, theirs
        (self.folder / "site.conf").write_text(site)

    def command(self) -> list[str]:
        folder = str(self.folder)
        return [self._program, "-p", folder, "-c", f"{folder}/nginx.conf", "-e", f"{folder}/log"]

    def answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False


def ports_in(upstream: str) -> list[int]:
    found = re.findall(r"^ *server 127\.0\.0\.1:(\d+) ", upstream, re.MULTILINE)
    return [int(port) for port in found]
