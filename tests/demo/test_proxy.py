"""The app below a path of a reverse proxy, in Chromium: page, files, streams of events, API."""

from collections.abc import Iterator

import pytest
from gradio_client import Client
from playwright.sync_api import Browser, BrowserContext, expect

from demo.app import launch
from demo.studio import Studio
from tests.conftest import EXAMPLES
from tests.demo.conftest import PATIENCE
from tests.demo.test_app import answer, upload
from tests.servers import ReverseProxy

PREFIX = "/our/music"


@pytest.fixture(
    scope="module",
    params=[
        (ReverseProxy(PREFIX, strips=True), PREFIX),
        (ReverseProxy(PREFIX, strips=False), PREFIX),
        # Such a proxy says nowhere at which address the visitor is: the whole one is needed.
        (ReverseProxy(PREFIX, strips=True, keeps_host=False), "{}"),
        (ReverseProxy(PREFIX, strips=False, keeps_host=False), "{}"),
    ],
    ids=["stripped", "left", "stripped, whole address", "left, whole address"],
)
def offered(request: pytest.FixtureRequest, studio: Studio) -> Iterator[str]:
    """The address at which a proxy offers an app; in ``root_path``, {} stands for it."""
    proxy, root_path = request.param
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


@pytest.fixture(scope="module")
def visitor(chromium: Browser, offered: str) -> Iterator[BrowserContext]:
    """A visitor, who keeps the scripts of the page from one visit to the next."""
    context = chromium.new_context()
    yield context
    context.close()


@pytest.mark.parametrize("end", ["", "/"], ids=["no slash", "slash"])
def test_the_app_works_below_a_path_of_a_proxy(offered: str, visitor: BrowserContext, end: str):
    page = visitor.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(offered + end)
    expect(page.locator("#answer")).to_contain_text("What is playing?", timeout=PATIENCE)
    upload(page, EXAMPLES / "engine.opus")
    assert "Randomness Decides" in answer(page, "found")
    link = page.locator("#reference a[download]")
    expect(link).to_be_attached(timeout=PATIENCE)
    assert page.request.get(link.get_attribute("href") or "").ok
    page.close()
    outside = [url for url in asked if not url.startswith((f"{offered}/", "data:", "blob:"))]
    assert outside in ([], [offered])


def test_programs_reach_the_app_below_the_path(offered: str):
    client = Client(f"{offered}/", verbose=False)
    assert client.predict("", api_name="/library_facts")["tracks"] == 32
