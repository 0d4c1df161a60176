"""The API pages build without a warning, and have an entry for every public name."""

import ast
import html
import re
from pathlib import Path

import pytest

import grafprint
from docs import make_api
from tests.paths import ROOT

SOURCES = {path: path.read_text(encoding="utf-8") for path in (ROOT / "grafprint").rglob("*.py")}
ROLE = re.compile(r":(?:attr|class|data|exc|func|meth|mod|obj):`([^`]+)`")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all pages."""
    folder = tmp_path_factory.mktemp("api")
    make_api.build(folder)
    return folder


def test_every_public_name_has_a_documented_entry(pages: Path):
    page = (pages / "grafprint.html").read_text(encoding="utf-8")
    entries = re.split(r'<section id="', page)[1:]
    documented = {
        name for entry in entries if 'class="docstring"' in entry and (name := entry.split('"')[0])
    }
    assert set(grafprint.__all__) <= documented


def test_every_documented_module_has_a_page(pages: Path):
    for module in make_api.MODULES:
        page = pages / (module.replace(".", "/") + ".html")
        assert page.is_file() or module.startswith("!"), module


def test_roles_are_rendered(pages: Path):
    for page in pages.rglob("*.html"):
        text = re.sub(r'<div class="pdoc-code.*?</div>', "", page.read_text("utf-8"), flags=re.S)
        assert not ROLE.search(html.unescape(text)), page


def test_roles_name_what_exists():
    """By the last part of the name, anywhere in the package."""
    defined = {path.stem for path in SOURCES} | {path.parent.name for path in SOURCES}
    for source in SOURCES.values():
        for node in ast.walk(ast.parse(source)):
            match node:
                case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.arg(arg=name):
                    defined.add(name)
                case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                    defined.add(name)
    for path, source in SOURCES.items():
        for name in ROLE.findall(source):
            assert name.split(".")[-1].removesuffix("()") in defined, f"{path}: {name}"
