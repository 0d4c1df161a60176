"""A web server or a reverse proxy for the length of a test."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import urlsplit


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """The address of a local server whose requests ``handler`` answers."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class ReverseProxy:
    """Offers the server ``behind`` below a path; requests of other paths get 404.

    ``strips``: whether the prefix is removed from the requests that are passed on; ``keeps_host``:
    whether their Host header stays that of the proxy, which the visitor sees.
    """

    def __init__(self, prefix: str, strips: bool, keeps_host: bool = True) -> None:
        self.prefix, self.strips, self.keeps_host = prefix, strips, keeps_host
        self.behind = ""
        self.address = ""  # with the prefix, while it runs

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Run it; ``behind`` may be set after it has started."""
        with serving(type("Handler", (_PassOn,), {"settings": self})) as address:
            self.address = address + self.prefix
            yield self


class _PassOn(BaseHTTPRequestHandler):
    settings: ReverseProxy

    def _pass_on(self) -> None:
        prefix, server = self.settings.prefix, urlsplit(self.settings.behind)
        if not f"{urlsplit(self.path).path}/".startswith(f"{prefix}/"):
            self.send_error(404)
            return
        path = self.path.removeprefix(prefix) if self.settings.strips else self.path
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {k: v for k, v in self.headers.items() if k.lower() != "connection"}
        if not self.settings.keeps_host:
            headers["Host"] = server.netloc
        passed = http.client.HTTPConnection(server.hostname or "", server.port)
        try:
            path = path if path.startswith("/") else f"/{path}"
            passed.request(self.command, path, body or None, headers)
            self._answer(passed.getresponse())
        except ConnectionError:  # the visitor or the server has left
            self.close_connection = True
        finally:
            passed.close()

    def _answer(self, reply: http.client.HTTPResponse) -> None:
        self.send_response(reply.status)
        for name, value in reply.getheaders():
            if name.lower() not in ("connection", "transfer-encoding"):
                self.send_header(name, value)
        self.end_headers()
        while part := reply.read1(65536):  # as it comes: a stream of events must not wait
            self.wfile.write(part)
            self.wfile.flush()

    do_GET = do_POST = do_HEAD = _pass_on

    def log_message(self, format: str, *arguments: object) -> None:
        """Print nothing."""
