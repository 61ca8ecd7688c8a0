"""The compiled module, kaudit_core.matcher._native, and the collection in the wheel; all else is in pyproject.toml.

Switches: KAUDIT_NO_EXTENSION=1 leaves the module out, KAUDIT_DEBUG_BUILD=1 builds it with invariants checked.
Without a working C++ compiler the package is installed without the module and the reference engine is used.
Ansible finds collections in site-packages, so `pip install kaudit` brings the playbooks along.
"""

import os
import sysconfig
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_py import build_py

MATCHER = Path("kaudit_core/matcher")
WARNINGS = ["-Wall", "-Wextra"]
RELEASE = ["-O3", "-DNDEBUG"]
DEBUG = ["-O0", "-g3", "-UNDEBUG"]
INSTALLED_AS = Path("ansible_collections/kaudit/k8s")
COLLECTION = ["galaxy.yml", "LICENSE", "README.md", "meta", "playbooks", "plugins", "roles"]
# One module for every CPython from 3.11 on (docs/decisions/0012); interpreters without a GIL have no stable ABI.
STABLE_ABI = not sysconfig.get_config_var("Py_GIL_DISABLED")
COLLECTION_SUFFIXES = {".j2", ".md", ".py", ".txt", ".yml"}


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
        py_limited_api=STABLE_ABI,
        define_macros=[("Py_LIMITED_API", "0x030B0000")] if STABLE_ABI else [],
        extra_compile_args=["-std=c++17", *WARNINGS, *(DEBUG if switch("KAUDIT_DEBUG_BUILD") else RELEASE)],
    )
    modules: list[Extension] = cythonize(  # type: ignore[no-untyped-call]
        [native], build_dir="build/cython", language_level=3, quiet=True
    )
    for module in modules:
        module.optional = True  # cythonize makes new objects and drops these attributes
        module.py_limited_api = STABLE_ABI
    return modules


def collection_files() -> list[str]:
    """The collection's files, relative to this one."""
    folders = [path for name in COLLECTION if Path(name).is_dir() for path in Path(name).rglob("*")]
    inside = [path for path in folders if path.is_file() and path.suffix in COLLECTION_SUFFIXES]
    return sorted(str(path) for path in [*map(Path, COLLECTION), *inside] if path.is_file())


class BuildWithCollection(build_py):
    """Puts the collection beside the package; an editable installation leaves it in the clone."""

    def _copies(self) -> dict[str, str]:
        """Where each file of the collection goes, and which file it is."""
        if self.editable_mode:
            return {}
        return {str(Path(self.build_lib, INSTALLED_AS, name)): name for name in collection_files()}

    def run(self) -> None:
        """Build the package, then copy the collection."""
        super().run()
        for target, source in self._copies().items():
            self.mkpath(str(Path(target).parent))
            self.copy_file(source, target, preserve_mode=False)

    def get_source_files(self) -> list[str]:
        """Return what the source distribution must hold."""
        package: list[str] = super().get_source_files()  # type: ignore[no-untyped-call]
        return [*package, *collection_files()]

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """Return what was written."""
        return [*super().get_outputs(include_bytecode), *self._copies()]

    def get_output_mapping(self) -> dict[str, str]:
        """Return the source of each output."""
        return {**super().get_output_mapping(), **self._copies()}


setup(
    ext_modules=extensions(),
    cmdclass={"build_py": BuildWithCollection},
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if STABLE_ABI else {},
)
