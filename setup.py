"""Put assets/ and demo/ into the wheel, as grafprint/assets and grafprint/demo.

All else is in pyproject.toml, which can either search for packages or move them. ``demo`` is too
common a name for a package of its own in site-packages: ``grafprint app`` imports it from where it
lies (grafprint/cli/serve.py).
"""

from setuptools import find_packages, setup

app = [f"grafprint.{name}" for name in find_packages(include=["demo", "demo.*"])]

setup(
    packages=[*find_packages(include=["grafprint", "grafprint.*"]), "grafprint.assets", *app],
    package_dir={"grafprint.assets": "assets", "grafprint.demo": "demo"},
)
