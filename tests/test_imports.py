"""Imports point down only, and importing the package stays cheap."""

from __future__ import annotations

import ast
import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "depthraster"

# From the top down; modules in one row know nothing of each other. A name stands for a module or a whole
# subpackage.
LAYERS = [
    ("__main__",),
    ("cli",),
    ("demo", "metashape"),
    ("comparison", "survey"),
    ("gallery", "manifest"),
    ("orthophoto",),
    ("contact_sheet", "landscape", "seen_faces", "selection", "stereo"),
    ("heights", "views"),
    ("render", "visibility"),
    ("edges", "io", "layers", "looking", "picking", "pipeline"),
    ("derived", "grid", "workroom"),
    ("pictures", "scene"),
    ("attributes",),
    ("chunk", "footprint", "viewpoint"),
    ("calibration",),
    ("curve", "drawing", "numeric", "recycling", "sparse", "transforms", "crs", "world"),
    ("kernels",),
    ("errors",),
]
LEVEL = {name: level for level, row in enumerate(LAYERS) for name in row}
# Opened by whoever needs it, at run time only: a Scene made from a path has the file read, a chunk reads its mesh, a
# calibration is read and written, what takes a mesh to the world reads it.
ALLOWED_UPWARD = {("scene", "io"), ("chunk", "io"), ("calibration", "io"), ("world", "io")}

HEAVY = (
    "trimesh",
    "tifffile",
    "imagecodecs",
    "PIL",
    "defusedxml",
    "rich",
    "click",
    "scipy",
    "matplotlib",
    "pyproj",
    "yaml",
    "cv2",
    "rasterio",
)


def modules():
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def unit(path: Path) -> str:
    """The row entry that a file belongs to: its own name, or its subpackage's."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_units(path: Path):
    """(unit, line, whether it runs at import) of every import of our own package in a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    later = {
        id(node)
        for part in ast.walk(tree)
        if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef))
        or (isinstance(part, ast.If) and "TYPE_CHECKING" in ast.dump(part.test))
        for node in ast.walk(part)
    }
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno} is a relative import; write it out"
            names = [node.module]
            if node.module == "depthraster":
                names = [f"depthraster.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "depthraster" and len(parts) > 1:
                yield parts[1], node.lineno, id(node) not in later


def test_every_module_has_its_level():
    unknown = {unit(path) for path in modules()} - set(LEVEL)
    assert not unknown, f"say in LAYERS where {sorted(unknown)} belong"


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_point_down(path):
    own = unit(path)
    for other, line, at_once in imported_units(path):
        if other not in LEVEL or other == own:
            assert other in LEVEL or other == "__version__", (
                f"{path.name}:{line} imports {other}, which has no level"
            )
            continue
        if (own, other) in ALLOWED_UPWARD and not at_once:
            continue
        assert LEVEL[other] > LEVEL[own], (
            f"{path.name}:{line}: {own} imports {other}, which lies above or beside it"
        )


def test_importing_the_package_loads_nothing_heavy():
    code = f"import sys, depthraster; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    # numba itself may load scipy; what it loads is not ours to count.
    bare = code.replace("depthraster", "numba")
    without = subprocess.run(
        [sys.executable, "-c", bare], capture_output=True, text=True, check=True, timeout=120
    )
    assert set(run.stdout.split()) <= set(without.stdout.split())


def test_public_names_exist():
    import depthraster as dr

    assert len(set(dr.__all__)) == len(dr.__all__)
    for name in dr.__all__:
        assert getattr(dr, name) is not None
        assert name in dir(dr)
    for name in (
        "Calibration",
        "Scene",
        "render",
        "render_depth",
        "render_views",
        "load_mesh",
        "load_chunk",
        "load_calibrations",
        "FormatError",
        "Layers",
    ):
        assert name in dr.__all__
    assert importlib.metadata.version("depthraster") == dr.__version__ and "__version__" in dir(dr)
    assert all(name in dr.__all__ or name.startswith("__") for name in dir(dr))
    assert all(f"`{name}`" in dr.__doc__ for name in dr.__all__ if name[0].islower() and name != "save_chunk")
    with pytest.raises(AttributeError):
        getattr(dr, "no_such_name")  # noqa: B009
