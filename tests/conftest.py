"""What the test modules share: the bundled network, and its page in a real Chromium."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from scipy.io import wavfile

from demo.app import launch
from demo.identifier import Identifier
from demo.studio import Studio
from grafprint import audio
from grafprint.fingerprint import DEFAULT_MODEL, Fingerprinter
from grafprint.library import Library
from tests.libraries import write_music
from tests.paths import ASSETS

EXAMPLES = ASSETS / "examples"
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
SECOND = 1000
# On a slow machine what is compiled on first use takes most of a minute.
PATIENCE = 180 * SECOND


@pytest.fixture(scope="session")
def studio() -> Studio:
    return Studio.load(ASSETS / "library", ASSETS / "grafprint.safetensors", examples=EXAMPLES)


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
    """Debian's Chromium with a microphone that hears the café example, over and over."""
    heard = tmp_path_factory.mktemp("microphone") / "heard.wav"
    samples = audio.load(EXAMPLES / "cafe.opus")
    wavfile.write(heard, audio.SAMPLE_RATE, np.round(samples * 30_000).astype(np.int16))
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    assert path, "these tests need Debian's package chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            args=[
                *FLAGS,
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-audio-capture={heard}",
            ],
        )
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser, address: str) -> Iterator[Page]:
    """A new visitor on the page, which must never ask another host for anything."""
    context = chromium.new_context(viewport={"width": 1100, "height": 900})
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    expect(page.locator("#answer")).to_contain_text("What is playing?", timeout=PATIENCE)
    yield page
    context.close()
    assert [u for u in asked if not u.startswith((address, "data:", "blob:"))] == []


@pytest.fixture(scope="session")
def fingerprinter() -> Fingerprinter:
    """The bundled network; a seeded untrained one where there are no weights."""
    return Fingerprinter.load() if DEFAULT_MODEL.exists() else Fingerprinter.untrained(seed=0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three files of two seconds each."""
    write_music(tmp_path / "music", 3)
    return tmp_path / "music"


@pytest.fixture
def library(tmp_path: Path, fingerprinter: Fingerprinter) -> Iterator[Library]:
    """A new one."""
    with Library.create(tmp_path / "library", fingerprinter) as library:
        yield library
