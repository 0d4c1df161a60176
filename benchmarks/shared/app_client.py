"""A client that calls the app over HTTP: uploads, endpoints and their events."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import httpx

PATIENCE_S = 120.0


def file_of(path: str, **more: Any) -> dict[str, Any]:
    """An uploaded file in the form that endpoints expect."""
    return {"path": path, "meta": {"_type": "gradio.FileData"}, **more}


@dataclass
class Caller:
    """A client of the app at ``address``, without Gradio's own, so that it can also send requests
    that the app must refuse."""

    address: str
    _http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=PATIENCE_S))
    _defaults: dict[str, list[Any]] = field(default_factory=dict)

    def upload(self, name: str, content: bytes) -> httpx.Response:
        """Upload a file; the JSON of the response is the list of paths on the server."""
        return self._http.post(f"{self.address}gradio_api/upload", files={"files": (name, content)})

    def call(self, endpoint: str, file: Any, **values: Any) -> tuple[str, Any]:
        """Call an endpoint with a file; returns its last event (complete, error) and its data.

        ``values`` are by parameter name; the other parameters have their defaults.
        """
        if endpoint not in self._defaults:
            known = self._http.get(f"{self.address}gradio_api/info").json()
            self._defaults[endpoint] = known["named_endpoints"][f"/{endpoint}"]["parameters"]
        parameters = self._defaults[endpoint][1:]
        data = [
            file,
            *(values.get(p["parameter_name"], p["parameter_default"]) for p in parameters),
        ]
        place = f"{self.address}gradio_api/call/{endpoint}"
        began = self._http.post(place, json={"data": data})
        began.raise_for_status()
        answer = self._http.get(f"{place}/{began.json()['event_id']}").text
        lines = [line for line in answer.splitlines() if line]
        return lines[-2].removeprefix("event: "), json.loads(lines[-1].removeprefix("data: "))
