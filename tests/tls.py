"""A certificate authority, and servers made to speak TLS by a process in front of them."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import threading
from pathlib import Path

_SSL_REQUEST = bytes([0, 0, 0, 8, 0x04, 0xD2, 0x16, 0x2F])  # how a PostgreSQL client asks for TLS


class Authority:
    """Signs the certificates of servers; ``certificate`` is what clients must know."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder, self.certificate, self._key = folder, folder / "root.crt", folder / "root.key"
        _openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", self._key, "-out", self.certificate, "-days", "2", "-subj", "/CN=authority",
        )  # fmt: skip

    def sign(self, host: str) -> ssl.SSLContext:
        """What a server of that name needs."""
        key, request, signed = (self.folder / f"{host}.{end}" for end in ("key", "csr", "crt"))
        names = self.folder / f"{host}.cnf"
        names.write_text(f"subjectAltName=DNS:{host}\n")
        _openssl(
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", key, "-out", request, "-subj", f"/CN={host}",
        )  # fmt: skip
        _openssl(
            "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key,
            "-CAcreateserial", "-out", signed, "-days", "2", "-extfile", names,
        )  # fmt: skip
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(signed, key)
        context.set_alpn_protocols(["h2", "postgresql"])
        return context


def _openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class TlsFront:
    """Takes TLS connections and hands what they say to a server on this machine.

    With a ``context`` of None it refuses encryption, as a PostgreSQL server without certificate.
    """

    def __init__(self, port: int, context: ssl.SSLContext | None, *, postgres: bool) -> None:
        self._behind, self._context, self._postgres = port, context, postgres
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self.plain: list[bytes] = []  # how connections began that were not encrypted
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._listening.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:  # ssl.SSLError among them
            begin = b""
            if self._postgres:
                begin = client.recv(8, socket.MSG_WAITALL)
                if begin == _SSL_REQUEST:
                    client.sendall(b"N" if self._context is None else b"S")
                    begin = b""
                    if self._context is None:
                        begin = client.recv(8, socket.MSG_WAITALL)
            if begin or self._context is None:
                self.plain.append(begin)
                return
            with (
                self._context.wrap_socket(client, server_side=True) as inside,
                socket.create_connection(("127.0.0.1", self._behind)) as server,
            ):
                answers = threading.Thread(target=_copy, args=(server, inside), daemon=True)
                answers.start()
                _copy(inside, server)
                answers.join(5)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)
