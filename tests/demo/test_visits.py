"""Several visitors at once: they do not see each other's clips, and see when they have to wait."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from gradio.route_utils import delete_files_created_by_app
from playwright.sync_api import Browser, Page, expect

from benchmarks.shared.app_client import Caller, file_of
from demo.app import launch
from demo.identifier import Identifier
from demo.studio import Studio
from grafprint.matching import Answer
from tests.conftest import EXAMPLES
from tests.demo.conftest import PATIENCE
from tests.demo.test_app import answer, upload
from tests.paths import ASSETS


def expect_explained(page: Page, name: str) -> None:
    """Check that the tab How it works shows the clip of this name."""
    page.get_by_role("tab", name="How it works").click()
    shown = page.locator("#explain .gp-small").first
    expect(shown).to_have_text(name, timeout=PATIENCE)


def test_two_visitors_do_not_see_each_others_clips(chromium: Browser, address: str):
    contexts = [chromium.new_context() for _ in range(2)]
    mine, yours = (context.new_page() for context in contexts)
    for page in (mine, yours):
        page.goto(address)
        expect(page.locator("#answer")).to_contain_text("What is playing?", timeout=PATIENCE)
    upload(mine, EXAMPLES / "engine.opus")
    assert "Randomness Decides" in answer(mine, "found")
    expect(yours.locator("#answer")).to_contain_text("What is playing?")
    expect_explained(yours, "cafe.opus")  # the example for visitors without a clip
    yours.get_by_role("tab", name="Identify").click()
    upload(yours, EXAMPLES / "hall.opus")
    assert "Hypatia" in answer(yours, "found")
    expect_explained(mine, "engine.opus")
    expect_explained(yours, "hall.opus")
    for context in contexts:
        context.close()


def test_clips_are_deleted_when_they_expire_and_examples_are_not(
    chromium: Browser, studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    served = launch(studio, prevent_thread_lock=True, quiet=True)
    context = chromium.new_context()
    page = context.new_page()
    assert served.local_url
    page.goto(served.local_url)
    upload(page, EXAMPLES / "engine.opus")
    assert "Randomness Decides" in answer(page, "found")
    delete_files_created_by_app(served, age=0)  # Gradio calls this at intervals
    assert not list(tmp_path.rglob("*.opus"))
    page.get_by_role("button", name="Identify", exact=True).click()
    assert "choose it again" in answer(page, "problem")
    page.get_by_text("In a busy café").first.click()
    assert "Musicbox" in answer(page, "found")
    context.close()
    served.close()
    assert (EXAMPLES / "cafe.opus").exists()


def test_a_visitor_in_the_queue_sees_that(
    new_page: Page, address: str, monkeypatch: pytest.MonkeyPatch
):
    """While two other clips are identified, the page shows the queue, and then the answer."""
    release, begun, slow = threading.Event(), threading.Semaphore(0), Identifier.answer

    def answer(self: Identifier, *arguments: Any, **options: Any) -> Answer:
        begun.release()
        release.wait(PATIENCE / 1000)
        return slow(self, *arguments, **options)

    monkeypatch.setattr(Identifier, "answer", answer)
    caller = Caller(address)
    (clip,) = caller.upload("cafe.opus", (EXAMPLES / "cafe.opus").read_bytes()).json()
    others = [
        threading.Thread(target=Caller(address).call, args=("identify", file_of(clip)))
        for _ in range(2)
    ]
    for other in others:
        other.start()
    try:
        for _ in others:
            assert begun.acquire(timeout=PATIENCE / 1000)
        new_page.get_by_text("Beside an engine").first.click(timeout=PATIENCE)
        expect(new_page.locator("#answer")).to_contain_text("queue", timeout=PATIENCE)
    finally:
        release.set()
        for other in others:
            other.join()
    expect(new_page.locator("#answer .gp-card")).to_contain_text("Found", timeout=PATIENCE)


PROGRAM = """
import os
from pathlib import Path
from demo.downloads import use_private_folder
use_private_folder()
folder = Path(os.environ["GRADIO_TEMP_DIR"])
use_private_folder()
assert os.environ["GRADIO_TEMP_DIR"] == str(folder)
from gradio.utils import get_upload_folder
assert get_upload_folder() == str(folder) and folder.stat().st_mode & 0o77 == 0
print(folder)
"""


def test_each_app_keeps_its_visitors_clips_in_its_own_folder(address: str):
    """Otherwise a page that closes could delete the clips of another app on the same computer."""
    environment = {name: v for name, v in os.environ.items() if name != "GRADIO_TEMP_DIR"}
    other = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        cwd=ASSETS.parent,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    mine = os.environ["GRADIO_TEMP_DIR"]
    assert mine != other and Path(mine).exists() and not Path(other).exists()
