"""The page below a path of a reverse proxy, at ``root_path``: a path or a whole address."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from html import escape
from typing import Any
from urllib.parse import urlsplit

# The parts of an ASGI application, as servers call it.
Message = dict[str, Any]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[dict[str, Any], Any, Send], Awaitable[None]]

_BASE = b'<base href="./" />'  # of Gradio's page: its scripts and styles are found from here


def options(root_path: str | None) -> dict[str, Any]:
    """Options of Gradio's launch for a page at ``root_path``; None: at the root."""
    if not root_path:
        return {}
    below = (
        BelowPath,
        (),
        {"root_path": root_path},
    )  # class and arguments, as Gradio's server asks
    return {"root_path": root_path, "app_kwargs": {"middleware": [below]}}


class BelowPath:
    """Answers requests whose proxy has left the path in them, and those to the path itself.

    Without a slash at the end of the page's address, its relative links would lead out of the path.
    A proxy that removes the path from requests hides whether there was one, so the page names the
    place from which they count.
    """

    def __init__(self, app: Application, root_path: str) -> None:
        self._app, self._prefix = app, urlsplit(root_path).path
        self._base = f'<base href="{escape(root_path)}/" />'.encode()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Send) -> None:
        """Pass a request on without the path; of the page, change the answer."""
        path = scope.get("path", "")
        if self._prefix and f"{path}/".startswith(f"{self._prefix}/"):
            path = path[len(self._prefix) :] or "/"
            scope = {**scope, "path": path}
        await self._app(scope, receive, self._with_base(send) if path == "/" else send)

    def _with_base(self, send: Send) -> Send:
        start: list[Message] = []

        async def changed(message: Message) -> None:
            if message["type"] == "http.response.start":  # its length depends on the body
                start.append(message)
                return
            if start and message["type"] == "http.response.body":
                old = message.get("body", b"")
                body = old.replace(_BASE, self._base, 1)
                longer = len(body) - len(old)
                headers = [
                    (
                        name,
                        str(int(value) + longer).encode() if name == b"content-length" else value,
                    )
                    for name, value in start[0]["headers"]
                ]
                await send({**start.pop(), "headers": headers})
                message = {**message, "body": body}
            await send(message)

        return changed
