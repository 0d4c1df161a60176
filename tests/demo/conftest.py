"""Fixtures for the app's tests: its server, and its page in a real Chromium."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from scipy.io import wavfile

from demo.app import launch
from demo.identifier import Identifier
from demo.sampling import Sampling
from demo.studio import Studio
from grafprint import audio
from grafprint.fingerprint import Fingerprinter
from grafprint.models.taggers import ATGNN, Tagger, features_of, variant
from grafprint.tagging import DEFAULT_TAGGER, ClipTagger
from tests.conftest import EXAMPLES
from tests.paths import ASSETS

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# On a slow machine, compilation on first use takes most of a minute.
PATIENCE = 180_000  # ms


class Visitor:
    """A visitor's page, opened when it is first needed. It must not contact other hosts."""

    def __init__(self, chromium: Browser, address: str) -> None:
        self._chromium, self._address = chromium, address
        self._context: BrowserContext | None = None
        self._requested: list[str] = []

    def page(self) -> Page:
        if self._context is None:
            self._context = self._chromium.new_context(viewport={"width": 1100, "height": 900})
            page = self._context.new_page()
            page.on("request", lambda request: self._requested.append(request.url))
            # Gradio loads the page anew after a lost connection, which puzzles a test that fails.
            page.on("requestfailed", lambda lost: print("failed:", lost.url, lost.failure))
            page.on("load", lambda loaded: print("loaded:", loaded.url))
            page.goto(self._address)
            expect(page.locator("#answer")).to_contain_text("What is playing?", timeout=PATIENCE)
        return self._context.pages[0]

    def leave(self) -> None:
        if self._context is not None:
            self._context.close()
            self._context = None
        own = (self._address, "data:", "blob:")
        assert [url for url in self._requested if not url.startswith(own)] == []


@pytest.fixture(scope="session")
def tagger() -> ClipTagger:
    """The bundled tagger; an untrained one if there is none."""
    if DEFAULT_TAGGER.is_file():
        return ClipTagger.load()
    labels = tuple(f"label {number}" for number in range(20))
    network = ATGNN(variant("small", labels=len(labels)))
    return ClipTagger(Tagger(network, labels, features_of("small"), {}))


@pytest.fixture(scope="session")
def sampling(sampling_folder: Path) -> Sampling:
    return Sampling.load(sampling_folder / "library", sampling_folder / "reranker.safetensors")


@pytest.fixture(scope="session")
def studio(fingerprinter: Fingerprinter, tagger: ClipTagger) -> Studio:
    studio = Studio(fingerprinter, ASSETS / "library", examples=EXAMPLES, tagger=tagger)
    studio.identifier()
    return studio


@pytest.fixture(scope="session")
def identifier(studio: Studio) -> Identifier:
    return studio.identifier()


@pytest.fixture(scope="session")
def address(studio: Studio) -> Iterator[str]:
    served = launch(studio, prevent_thread_lock=True, quiet=True)
    assert served.local_url
    yield served.local_url
    served.close()


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Debian's Chromium; its microphone plays the café example in a loop."""
    recording = tmp_path_factory.mktemp("microphone") / "cafe.wav"
    samples = audio.load(EXAMPLES / "cafe.opus")
    wavfile.write(recording, audio.SAMPLE_RATE, np.round(samples * 30_000).astype(np.int16))
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    assert path, "these tests need Debian's package chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            args=[
                *FLAGS,
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-audio-capture={recording}",
            ],
        )
        yield browser
        browser.close()


@pytest.fixture
def new_page(chromium: Browser, address: str) -> Iterator[Page]:
    """The page of a new visitor."""
    visitor = Visitor(chromium, address)
    yield visitor.page()
    visitor.leave()


@pytest.fixture(scope="module")
def module_visitor(chromium: Browser, address: str) -> Iterator[Visitor]:
    visitor = Visitor(chromium, address)
    yield visitor
    visitor.leave()


@pytest.fixture
def shared_page(request: pytest.FixtureRequest, module_visitor: Visitor) -> Iterator[Page]:
    """The page of one visitor for all tests of a module, but a new one after a failed test.

    Each test must bring it into the state that it needs.
    """
    failures = request.session.testsfailed
    yield module_visitor.page()
    if request.session.testsfailed > failures:
        module_visitor.leave()
