"""``depthraster height``: a mesh, or the one of a chunk, to a GeoTIFF."""

from __future__ import annotations

import re

import numpy as np
import pytest
from numpy.testing import assert_allclose

import depthraster as dr
from depthraster import heights as heights_module
from depthraster.cli import progress
from depthraster.crs import map_system
from exports import SCALE, run, write_survey
from surfaces import UTM, around, terrain
from survey_project import survey

rasterio = pytest.importorskip("rasterio", reason="no wheel of rasterio")
UTM32 = "EPSG:32632"


def write_ply(path, vertices, faces):
    import trimesh

    # trimesh writes float32, which has no room for a northing: an export with a shift.
    trimesh.Trimesh(vertices, faces, process=False).export(path)
    return path


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    pytest.importorskip("pyproj", reason="no wheel of pyproj")
    return survey(tmp_path_factory.mktemp("survey"))


def test_a_mesh_in_its_own_coordinates(tmp_path):
    x, y, z, vertices, faces = terrain()
    mesh = write_ply(tmp_path / "terrain.ply", vertices - UTM, faces)
    out = tmp_path / "dem.tif"
    result = run(
        "height", mesh, "-o", out, "--resolution", 0.5, "--bounds", *around(x, y, 0.5), "--mesh-offset", *UTM, "--crs",
        UTM32,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert re.fullmatch(
        rf"{re.escape(str(out))}: 120 x 120 cells of 0.5, 100% of them with heights, float64, in \d+\.\d s\.\n"
        rf"Coordinates are in WGS 84 / UTM zone 32N; heights {z.min():.3f} to {z.max():.3f}\.\n",
        result.stdout,
    )
    field = dr.HeightField.load(out)
    assert field.crs == UTM32 and field.bounds == around(x, y, 0.5)
    assert_allclose(field.heights, z, rtol=0, atol=1e-5)  # as the mesh's float32
    result = run("height", mesh, "-o", tmp_path / "plain.tif", "-r", 1)
    assert result.exit_code == 0 and "No coordinate system; heights" in result.output
    assert dr.HeightField.load(tmp_path / "plain.tif").crs is None


def test_the_mesh_inside_a_project_on_a_map(project, tmp_path):
    result = run("height", project.path, "-o", tmp_path / "dem.tif", "--resolution", 0.5)
    assert result.exit_code == 0, result.output
    assert (
        "Coordinates are in WGS 84 / UTM zone 32N; heights 554." in result.output
    )  # the chunk is in degrees
    world = project.chunk.to_world(project.mesh, UTM32)
    field = dr.height_field(world, resolution=0.5, crs=UTM32)
    found = dr.HeightField.load(tmp_path / "dem.tif")
    assert found.affine == field.affine and found.crs == UTM32
    assert_allclose(found.heights, field.heights, rtol=0, atol=1e-4)
    result = run(
        "height", project.path, "-o", tmp_path / "swiss.tif", "-r", 1, "--crs", "EPSG:2056", "--model", "0"
    )
    assert result.exit_code == 0 and "CH1903+ / LV95" in result.output
    left, bottom, right, top = dr.HeightField.load(tmp_path / "swiss.tif").bounds
    assert 2_600_000 < left < right < 2_601_000 and 1_199_000 < bottom < top < 1_200_500  # Bern


def test_an_exported_mesh_of_a_chunk(project, tmp_path):
    world = project.chunk.to_world(project.mesh, UTM32)
    shift = np.floor(world.vertices.min(axis=0))
    local = write_ply(tmp_path / "local.ply", *project.mesh)
    exported = write_ply(tmp_path / "exported.ply", world.vertices - shift, world.faces)
    fields = []
    for mesh, options in ((local, []), (exported, ["--mesh-crs", UTM32, "--mesh-offset", *shift])):
        out = tmp_path / f"{mesh.stem}.tif"
        result = run("height", project.path, mesh, "-o", out, "-r", 0.5, *options)
        assert result.exit_code == 0, result.output
        fields.append(dr.HeightField.load(out))
    assert fields[0].affine == fields[1].affine
    both = np.isfinite(fields[0].heights) & np.isfinite(fields[1].heights)
    assert both.mean() > 0.9
    assert_allclose(fields[0].heights[both], fields[1].heights[both], rtol=0, atol=1e-3)


def test_a_chunk_without_a_place_on_the_earth(tmp_path):
    cameras, mesh = write_survey(tmp_path, ["a"])
    result = run("height", cameras, mesh, "-o", tmp_path / "dem.tif", "-r", 0.1)
    assert result.exit_code == 0 and "No coordinate system" in result.output
    left, bottom, right, top = dr.HeightField.load(tmp_path / "dem.tif").bounds
    assert_allclose((left, bottom, right, top), np.array([-2, -1.6, 2, 1.6]) * SCALE, atol=1e-9)
    (tmp_path / "bare.xml").write_text(
        re.sub(r"<transform>\s*<rotation.*?</transform>", "", cameras.read_text(), flags=re.DOTALL)
    )
    result = run("height", tmp_path / "bare.xml", mesh, "-o", tmp_path / "bare.tif", "-r", 0.1)
    assert result.exit_code == 0 and "Warning: the chunk has no transform" in result.stderr
    assert_allclose(dr.HeightField.load(tmp_path / "bare.tif").bounds, [-2, -1.6, 2, 1.6], atol=1e-9)


def test_nothing_is_replaced_unasked(tmp_path):
    *_, vertices, faces = terrain(20)
    mesh = write_ply(tmp_path / "terrain.ply", vertices - UTM, faces)
    out = tmp_path / "dem.tif"
    out.write_bytes(b"something")
    result = run("height", mesh, "-o", out, "-r", 0.5)
    assert result.exit_code == 1 and "nothing is replaced unasked" in result.stderr
    assert out.read_bytes() == b"something"
    assert run("height", mesh, "-o", out, "-r", 0.5, "--overwrite").exit_code == 0
    assert dr.HeightField.load(out).heights.shape == (19, 19)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dem.tif", "terrain.ply"]


def test_people_see_how_far_it_is(tmp_path, monkeypatch):
    *_, vertices, faces = terrain(20)
    mesh = write_ply(tmp_path / "terrain.ply", vertices - UTM, faces)
    monkeypatch.setattr(progress, "_EVERY", 0.0)
    monkeypatch.setattr(heights_module, "_COLS", 512)
    result = run("height", mesh, "-o", tmp_path / "dem.tif", "-r", 0.01)
    assert [line for line in result.stderr.splitlines() if re.fullmatch(r"\d of 4 windows, \d+ s left", line)]
    monkeypatch.setattr(progress, "on_terminal", lambda: True)
    result = run("height", mesh, "-o", tmp_path / "bar.tif", "-r", 0.01)
    assert result.exit_code == 0 and "windows," not in result.stderr
    assert (tmp_path / "bar.tif").read_bytes() == (tmp_path / "dem.tif").read_bytes()
    monkeypatch.undo()
    result = run("height", mesh, "-o", tmp_path / "away.tif", "-r", 0.5, "--bounds", 100, 100, 200, 200)
    assert (
        result.exit_code == 0 and "0% of them with heights" in result.stdout and "no heights" in result.stdout
    )
    assert "Warning: no cell sees the mesh; are the bounds in" in result.stderr
    wall = write_ply(
        tmp_path / "wall.ply", np.array([[0, 0, 0], [1, 0, 0], [1, 0, 1.0]]), np.array([[0, 1, 2]])
    )
    result = run("height", wall, "-o", tmp_path / "wall.tif", "-r", 0.3)
    assert result.exit_code == 0 and "Warning: no cell sees the mesh; is it on edge" in result.stderr


def test_what_cannot_be_is_said_in_one_sentence(tmp_path, project):
    *_, vertices, faces = terrain(20)
    mesh = write_ply(tmp_path / "terrain.ply", vertices - UTM, faces)
    out = tmp_path / "dem.tif"
    for source, options, says in (
        (
            [mesh],
            ["-r", 0],
            "a positive, finite side of a cell is needed: pass e.g. --resolution 0.1\n",
        ),
        ([mesh], ["-r", "nan"], "the resolution is nan"),
        ([mesh], ["-r", 1e-6], "at most 2**37 cells (512 GiB) are possible"),
        ([mesh], ["-r", 1, "--bounds", 0, 0, 0, 1], "which is no area"),
        ([mesh], ["-r", 1, "--crs", "nowhere"], "which pyproj does not know"),
        ([mesh], ["-r", 1, "--crs", "EPSG:999999"], "which pyproj does not know"),
        ([mesh], ["-r", 1, "--crs", "EPSG:4326"], "in degrees"),
        ([tmp_path / "terrain.obj"], ["-r", 1], "is terrain.ply meant"),
        ([project.path], ["-r", 1, "--crs", "EPSG:4326"], "in degrees"),
        ([project.path], ["-r", 1, "--crs", "nowhere"], "which pyproj does not know"),
        ([project.path], ["-r", 1, "--model", "Other"], "'Other'"),
        ([project.path], ["-r", 1, "--chunk", "Other"], "'Other'"),
    ):
        result = run("height", *source, "-o", out, *options)
        assert result.exit_code == 1 and says in result.stderr, (options, result.output)
        assert result.stderr.count("\n") == 1 and not out.exists()
    result = run("height", mesh, "-o", tmp_path / "dem.png", "-r", 1)
    assert result.exit_code == 2 and "end its name in .tif or .tiff" in result.stderr
    for arguments, says in (
        ([mesh, mesh], "A chunk comes first"),
        ([mesh, "--model", "0"], "--model is about a CHUNK"),
        ([mesh, "--chunk", "0"], "--chunk is about a CHUNK"),
        ([mesh, "--mesh-crs", UTM32], "--mesh-crs is about a CHUNK"),
        ([project.path, "--mesh-crs", UTM32], "are about MESH"),
        ([project.path, mesh, "--model", "0"], "leave out MESH"),
        ([project.path, mesh, "--mesh-offset", 1, 2, 3], "in the units of --mesh-crs"),
    ):
        result = run("height", *arguments, "-o", out, "-r", 1)
        assert result.exit_code == 2 and says in result.stderr, result.output
    assert run("height", mesh, "-o", out).exit_code == 2  # a resolution is needed


def test_the_system_for_a_map(project):
    chunk = project.chunk
    (centre,) = chunk.to_world(np.zeros((1, 3)))
    assert map_system(chunk.crs, centre) == UTM32
    from pyproj import CRS

    swiss = CRS.from_epsg(2056).to_wkt("WKT1_GDAL")
    assert map_system(swiss, centre) == swiss  # its own
    american = CRS.from_epsg(4269).to_wkt("WKT1_GDAL")
    assert map_system(american, [-2.5e6, -4.6e6, 3.6e6]) == "EPSG:26911"  # NAD83 / UTM zone 11N
    assert map_system(chunk.crs, [-4.6e6, 2.6e6, -3.5e6]) == "EPSG:32756"  # in the south
    with pytest.raises(ValueError, match="there is no zone of UTM"):
        map_system(chunk.crs, [0, 1000, 6.36e6])
