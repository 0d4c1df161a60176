"""The tab Library in Chromium, mostly in an app whose shelf may be changed."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from gradio_client import Client, handle_file
from playwright.sync_api import Browser, Page, expect
from scipy.io import wavfile

from demo.app import launch
from demo.studio import Studio
from grafprint import audio
from tests.demo.conftest import PATIENCE
from tests.demo.test_app import answer, upload
from tests.libraries import excerpt, write_music, write_wav
from tests.paths import ASSETS


@pytest.fixture(scope="module")
def own(studio: Studio, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Studio, str]]:
    """A studio with an empty shelf that may be changed, and its address."""
    place = tmp_path_factory.mktemp("shelf")
    changeable = Studio(studio.fingerprinter, ASSETS / "library", shelf=place, editable=True)
    served = launch(changeable, prevent_thread_lock=True, quiet=True)
    assert served.local_url
    yield changeable, served.local_url
    served.close()


@pytest.fixture
def visitor(chromium: Browser, own: tuple[Studio, str]) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1100, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(own[1])
    page.get_by_role("tab", name="Library").click()
    page.get_by_text("Change libraries").click()
    yield page
    context.close()


def says(page: Page, place: str, text: str) -> None:
    expect(page.locator(place)).to_contain_text(text, timeout=PATIENCE)


def create(page: Page, name: str) -> None:
    page.get_by_label("New library").fill(name)
    page.get_by_role("button", name="Create", exact=True).click()


def test_a_library_is_created_filled_and_used_and_a_track_removed(visitor: Page, tmp_path: Path):
    page = visitor
    create(page, "../outside")
    says(page, "#library-report", "letters, digits")
    says(page, "#library-note", "cannot be changed")
    create(page, "Mine")
    says(page, "#in-use", "Library “Mine”: 0 tracks")
    expect(page.locator("#library-files")).to_be_visible(timeout=PATIENCE)
    music = write_music(tmp_path / "up", 2, 12.0)
    words = tmp_path / "words.mp3"
    words.write_text("not music" * 100)
    page.locator("#library-files input[type=file]").set_input_files([*music, words])
    sent = page.locator("#library-files a[href*='/gradio_api/file=']")
    expect(sent).to_have_count(3, timeout=PATIENCE)
    page.locator("#library-add").click()
    says(page, "#library-report", "2 added, 1 failed")
    says(page, "#library-report", "words.mp3: it is not audio")
    says(page, "#contents", "2 tracks")
    says(page, "#in-use", "Library “Mine”: 2 tracks")

    # The tab Identify uses the new library.
    clip = write_wav(tmp_path / "clip.wav", excerpt(1, 24, 4.0))
    page.get_by_role("tab", name="Identify").click()
    upload(page, clip)
    assert "track 1" in answer(page, "found")

    page.get_by_role("tab", name="Library").click()
    page.get_by_role("button", name="Remove track 1").click()
    says(page, "#library-row-report", "Remove “track 1” from the library “Mine”?")
    page.get_by_role("button", name="Cancel").click()
    says(page, "#contents", "2 tracks")
    page.get_by_role("button", name="Remove track 1").click()
    page.get_by_role("button", name="Yes, remove").click()
    says(page, "#library-row-report", "Track 1")
    expect(page.locator("#contents tbody tr")).to_have_count(1, timeout=PATIENCE)
    expect(page.get_by_role("button", name="Remove track 1")).to_have_count(0)
    says(page, "#in-use", "Library “Mine”: 1 track,")
    # Back to the first library, which is unchanged.
    page.get_by_label("Library in use").click()
    page.get_by_role("option", name="Demo music", exact=True).click()
    says(page, "#in-use", "Library “Demo music”: 32 tracks")
    expect(page.locator("#library-files")).to_be_hidden()


def test_adding_a_folder_can_be_stopped_between_files(
    visitor: Page, own: tuple[Studio, str], tmp_path: Path
):
    page = visitor
    create(page, "Folder")
    says(page, "#in-use", "Library “Folder”")
    write_music(tmp_path / "music", 12, 25.0)
    page.get_by_label("Add a folder").fill(str(tmp_path / "music"))
    page.get_by_role("button", name="Add folder").click()
    says(page, "#library-report", "of 12 files")
    page.locator("#library-stop").click()
    says(page, "#library-report", "not processed")
    added = len(own[0].identifier("Folder").library.tracks())
    assert 0 < added < 12
    says(page, "#library-facts", f"Tracks{added}")
    expect(page.locator("#library-stop")).to_be_hidden(timeout=PATIENCE)
    page.get_by_label("Add a folder").fill("/no/such/folder")
    page.get_by_role("button", name="Add folder").click()
    says(page, "#library-report", "There is no folder")


def search(page: Page, words: str) -> None:
    """Replace the search; filling a field at once is no input to Gradio."""
    field = page.get_by_label("Search")
    field.press("Control+a")
    field.press("Delete")
    if words:
        field.press_sequentially(words)


def test_a_search_narrows_the_table(shared_page: Page):
    page = shared_page
    page.get_by_role("tab", name="Library").click()
    search(page, "")
    says(page, "#contents", "32 tracks")
    page.get_by_label("Search").press_sequentially("paniq")
    says(page, "#contents", "2 of 32 tracks")
    expect(page.locator("#contents tbody tr")).to_have_count(2)
    says(page, "#contents", "CC-BY-SA-3.0")
    says(page, "#contents", "jamendo.com")
    page.get_by_label("Search").press_sequentially(" nothing")
    says(page, "#contents", "No track matches “paniq nothing”")
    search(page, "")
    says(page, "#contents", "32 tracks")
    expect(page.locator("#contents tbody tr")).to_have_count(32)


def test_the_table_is_sorted_by_what_is_clicked(shared_page: Page):
    page = shared_page
    page.get_by_role("tab", name="Library").click()
    search(page, "")
    says(page, "#contents", "32 tracks")
    rows = page.locator("#contents tbody tr")

    def shown(column: int) -> list[str]:
        cells = rows.locator(f"td:nth-child({column})").all_inner_texts()
        return [text.split("\n")[0] for text in cells]

    for head, column, key in (
        ("Length", 5, lambda text: [int(part) for part in text.split(":")]),
        ("From", 3, str.casefold),
        ("Track", 2, str.casefold),
    ):
        for direction in ("ascending", "descending"):
            page.locator("#contents thead").get_by_role("button", name=head).click()
            sort = page.locator(f"#contents th[aria-sort={direction}]")
            expect(sort).to_contain_text(head, timeout=PATIENCE)
            found = shown(column)
            assert found == sorted(found, key=key, reverse=direction == "descending")
    # A search keeps the order.
    search(page, "paniq")
    says(page, "#contents", "2 of 32 tracks")
    found = shown(2)
    assert found == sorted(found, key=str.casefold, reverse=True)
    expect(page.locator("#contents [data-remove]")).to_have_count(0)  # it may not be changed


def test_a_track_is_played_from_its_row(shared_page: Page, studio: Studio):
    page = shared_page
    page.get_by_role("tab", name="Library").click()
    search(page, "Musicbox")
    says(page, "#contents", "1 of 32 tracks")
    page.get_by_role("button", name="Play Musicbox").click()
    link = page.locator("#library-player a[download]")
    expect(link).to_be_attached(timeout=PATIENCE)
    rate, sent = wavfile.read(io.BytesIO(page.request.get(link.get_attribute("href") or "").body()))
    track = studio.identifier().library.tracks("Musicbox")[0]
    path = studio.identifier().library.audio_path(track)
    assert path is not None
    original = audio.load(path, duration_s=60)
    assert rate == audio.SAMPLE_RATE and len(sent) == len(original)
    assert np.corrcoef(sent, original)[0, 1] > 0.999
    says(page, "#library-player", "Musicbox")


def test_a_track_whose_file_is_gone_says_so(visitor: Page, own: tuple[Studio, str], tmp_path: Path):
    page = visitor
    create(page, "Moved")
    says(page, "#in-use", "Library “Moved”")
    write_music(tmp_path / "music", 1)
    page.get_by_label("Add a folder").fill(str(tmp_path / "music"))
    page.get_by_role("button", name="Add folder").click()
    says(page, "#library-report", "1 added")
    (tmp_path / "music" / "track 0.wav").unlink()
    page.get_by_role("button", name="Play track 0").click()
    says(page, "#library-row-report", "The file of “track 0” is not where the library says")


def test_a_read_only_page_says_how_to_allow_changes(shared_page: Page):
    page = shared_page
    page.get_by_role("tab", name="Library").click()
    page.get_by_text("Change libraries").click()
    says(page, "#library-change", "python app.py --edit")
    expect(page.get_by_role("button", name="Create", exact=True)).to_have_count(0)


def test_the_api_changes_libraries(own: tuple[Studio, str], tmp_path: Path):
    client = Client(own[1], verbose=False)
    assert client.predict("By program", api_name="/create_library") == "By program"
    files = [handle_file(str(path)) for path in write_music(tmp_path / "up", 2)]
    added = client.predict(files, "By program", api_name="/add_files")
    assert added["done"] == 2 and added["added"] == ["track 0.wav", "track 1.wav"]
    folder = str(tmp_path / "up")
    again = client.predict(folder, "By program", api_name="/add_folder")
    assert again["duplicates"] == ["track 0.wav", "track 1.wav"]
    first = client.predict("track 0", "By program", api_name="/tracks")[0]
    assert client.predict(first["id"], "By program", api_name="/remove_track") == "track 0"
    facts = client.predict("By program", api_name="/library_facts")
    assert facts["tracks"] == 1 and facts["editable"] and "By program" in facts["libraries"]


def test_the_api_of_a_read_only_app_refuses_changes(address: str, tmp_path: Path):
    client = Client(address, verbose=False)
    file = handle_file(str(write_music(tmp_path, 1)[0]))
    calls = [
        (("new",), "/create_library"),
        (([file], "library"), "/add_files"),
        ((str(tmp_path), "library"), "/add_folder"),
        ((1, "library"), "/remove_track"),
    ]
    for arguments, name in calls:
        with pytest.raises(Exception, match="--edit"):
            client.predict(*arguments, api_name=name)
    assert client.predict("", api_name="/library_facts")["tracks"] == 32
