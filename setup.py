"""The compiled module, kaudit_core.matcher._native; everything else about the package is in pyproject.toml.

Switches: KAUDIT_NO_EXTENSION=1 leaves the module out, KAUDIT_DEBUG_BUILD=1 builds it with invariants checked.
Without a working C++ compiler the package is installed without the module and the reference engine is used.
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

MATCHER = Path("kaudit_core/matcher")
WARNINGS = ["-Wall", "-Wextra"]
RELEASE = ["-O3", "-DNDEBUG"]
DEBUG = ["-O0", "-g3", "-UNDEBUG"]


def switch(name: str) -> bool:
    """Whether an environment switch is on."""
    return os.environ.get(name, "0") not in ("", "0")


def extensions() -> list[Extension]:
    """The extension modules to build: one, or none when switched off."""
    if switch("KAUDIT_NO_EXTENSION"):
        return []
    native = Extension(
        "kaudit_core.matcher._native",
        sources=[str(MATCHER / "_native.pyx")],
        depends=[str(path) for path in sorted(MATCHER.glob("*.hpp"))],
        include_dirs=[str(MATCHER)],
        language="c++",
        extra_compile_args=["-std=c++17", *WARNINGS, *(DEBUG if switch("KAUDIT_DEBUG_BUILD") else RELEASE)],
    )
    modules: list[Extension] = cythonize(  # type: ignore[no-untyped-call]
        [native], build_dir="build/cython", language_level=3, quiet=True
    )
    for module in modules:
        module.optional = True  # cythonize makes new objects and drops the attribute
    return modules


setup(ext_modules=extensions())
