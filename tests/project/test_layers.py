"""A wing imports only what stands below it, and no imports run in a circle.

Imports inside functions and under ``TYPE_CHECKING`` count as any other.
"""

import ast
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.paths import ROOT

# From the top down; docs/architecture.md says what each is for.
FLOORS = (
    {"__main__"},
    {"cli"},
    {"scan", "evaluation"},
    {"matching", "training", "explore"},
    {"remote"},
    {"library"},
    {"fingerprint", "tagging", "degradation"},
    {"models", "audio"},
    {"files"},
    {"bundled", "errors", "threads", "jit"},
)
HEIGHT = {wing: -number for number, wings in enumerate(FLOORS) for wing in wings}
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "grafprint").rglob("*.py"))
}
FACE = "grafprint"  # the package itself: it hands names on, lazily, from any wing


def imported(module: str) -> set[str]:
    """The project's modules that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module}: relative import"
            assert node.module
            found |= {
                name if (name := f"{node.module}.{alias.name}") in MODULES else node.module
                for alias in node.names
            }
    return {name for name in found if name in MODULES}


def wing_of(module: str) -> str:
    """The first part of a module's path below ``grafprint``."""
    return module.split(".")[1]


IMPORTS = {module: imported(module) for module in MODULES if module != FACE}


def test_every_wing_has_a_floor():
    assert {wing_of(module) for module in IMPORTS} == set(HEIGHT)


@pytest.mark.parametrize("module", IMPORTS)
def test_imports_run_downward(module):
    own = wing_of(module)
    for target in IMPORTS[module]:
        if target == FACE:
            assert own == "cli", f"{module} imports the public face: import from the module itself"
        elif wing_of(target) != own:
            assert HEIGHT[wing_of(target)] < HEIGHT[own], f"{module} imports {target}"


def test_the_index_knows_no_tracks():
    """``library/index`` is nearest neighbours over numbered vectors, and nothing more."""
    index = "grafprint.library.index"
    for module, targets in IMPORTS.items():
        if module.startswith(index + "."):
            above = {t for t in targets if t.startswith("grafprint.library")}
            assert all(target.startswith(index + ".") for target in above), module


def test_no_imports_run_in_a_circle():
    try:
        TopologicalSorter(IMPORTS).prepare()
    except CycleError as circle:
        pytest.fail(" -> ".join(circle.args[1]))


def test_audio_needs_no_torch():
    for module in IMPORTS:
        if wing_of(module) == "audio":
            assert "torch" not in MODULES[module].read_text(encoding="utf-8"), module


def test_tabs_of_the_app_do_not_import_each_other():
    tabs = {path.parent.name for path in (ROOT / "demo").glob("*/tab.py")}
    for path in sorted((ROOT / "demo").rglob("*.py")):
        own = path.relative_to(ROOT / "demo").parts[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("demo."):
                other = (node.module or "").split(".")[1]
                assert other == own or other not in tabs or own == "app.py", path


def test_only_the_command_that_serves_the_app_imports_it():
    importing = {
        path.relative_to(ROOT / "grafprint").as_posix()
        for path in (ROOT / "grafprint").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "demo"
    }
    assert importing == {"cli/start_app.py"}
