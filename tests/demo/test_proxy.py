"""The app below a path of a reverse proxy, in Chromium: page, files, streams of events, API."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from gradio_client import Client
from playwright.sync_api import Browser, expect

from demo.app import launch
from demo.studio import Studio
from tests.conftest import EXAMPLES
from tests.demo.conftest import PATIENCE
from tests.demo.test_app import answer, upload
from tests.servers import ReverseProxy

PREFIX = "/our/music"


@contextmanager
def offered(studio: Studio, proxy: ReverseProxy, root_path: str) -> Iterator[str]:
    """The address at which ``proxy`` offers an app; in ``root_path``, {} stands for it."""
    with proxy.running():
        address = proxy.address.replace("127.0.0.1", "localhost")  # another name than the app's
        served = launch(
            studio, prevent_thread_lock=True, quiet=True, root_path=root_path.format(address)
        )
        proxy.behind = served.local_url or ""
        try:
            yield address
        finally:
            served.close()


@pytest.mark.parametrize(
    "proxy, root_path",
    [
        (ReverseProxy(PREFIX, strips=True), PREFIX),
        (ReverseProxy(PREFIX, strips=False), PREFIX),
        # Such a proxy says nowhere at which address the visitor is: the whole one is needed.
        (ReverseProxy(PREFIX, strips=True, keeps_host=False), "{}"),
        (ReverseProxy(PREFIX, strips=False, keeps_host=False), "{}"),
    ],
    ids=["stripped", "left", "stripped, whole address", "left, whole address"],
)
@pytest.mark.parametrize("end", ["", "/"], ids=["no slash", "slash"])
def test_the_app_works_below_a_path_of_a_proxy(
    studio: Studio, chromium: Browser, proxy: ReverseProxy, root_path: str, end: str
):
    with offered(studio, proxy, root_path) as address:
        page = chromium.new_context().new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address + end)
        expect(page.locator("#answer")).to_contain_text("What is playing?", timeout=PATIENCE)
        upload(page, EXAMPLES / "engine.opus")
        assert "Randomness Decides" in answer(page, "found")
        link = page.locator("#reference a[download]")
        expect(link).to_be_attached(timeout=PATIENCE)
        assert page.request.get(link.get_attribute("href") or "").ok
        page.context.close()
        outside = [url for url in asked if not url.startswith((f"{address}/", "data:", "blob:"))]
        assert outside in ([], [address])
        client = Client(f"{address}/", verbose=False)
        assert client.predict("", api_name="/library_facts")["tracks"] == 32
