"""Layers as pictures: what notebooks show, what is drawn in which colours, and plots where matplotlib is there."""

from __future__ import annotations

import importlib.util
import io
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import cameras
import depthraster as dr
import meshes
from depthraster.drawing import EMPTY, caption, colour_table
from depthraster.layers import LAYERS
from depthraster.pictures import _shown, draw_picture

needs_matplotlib = pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None, reason="the extra plot is not installed"
)


@pytest.fixture(scope="module")
def layers() -> dr.Layers:
    rng = np.random.default_rng(3)
    vertices, faces = meshes.joined(meshes.terrain(rng, 30, 30, 16.0, 15.0, 4.0), meshes.icosphere(2, 1.0))
    vertices[-162:] += [1.0, 0.5, 8.0]
    given = {
        "height": vertices[:, 2],
        "label": np.arange(len(faces)) // 100,
        "colour": rng.integers(0, 256, (len(vertices), 3)).astype(np.uint8),
        "flag": rng.random(len(faces)) < 0.5,
        "pair": rng.normal(size=(len(vertices), 2)),
    }
    made = dr.render(
        (vertices, faces), np.eye(4), cameras.calibration("survey", 130, 90), tuple(LAYERS), attributes=given
    )
    assert 0.4 < made.alpha.mean() < 1
    return made


def lightness(rgb):
    return np.asarray(rgb, float) @ [0.3, 0.6, 0.1]


def test_notebooks_show_all_layers(layers):
    picture = Image.open(io.BytesIO(layers._repr_png_()))
    assert picture.format == "PNG" and picture.mode == "RGB"
    assert picture.width > 1300 and picture.height > 5 * 300
    assert dr.Layers()._repr_png_() is None
    assert repr(dr.Layers()) == "Layers()"
    assert "depth 90 x 130 float32" in repr(layers) and "pair 90 x 130 x 2 float64" in repr(layers)


@pytest.mark.parametrize("name", [*LAYERS, "height", "label", "colour", "flag", "pair"])
def test_each_layer_is_drawn(layers, name):
    picture = np.asarray(layers.picture(name))
    inner = picture[20:400, 20:900].reshape(-1, 3)
    assert len(np.unique(inner, axis=0)) >= (2 if name in ("alpha", "edge", "flag") else 10)
    shown = _shown(name, layers.images()[name], layers.alpha > 0)
    assert (shown.rgb[layers.alpha == 0] == EMPTY).all()
    assert not (shown.rgb[layers.alpha > 0] == EMPTY).all(axis=-1).any()


def test_colours_say_what_they_should(layers):
    hit = layers.alpha > 0
    ball = layers.face_index >= 1800  # behind the terrain's faces

    def shown(name):
        return _shown(name, layers.images()[name], hit)

    depth = lightness(shown("depth").rgb)
    assert depth[ball].min() > depth[hit & ~ball].max(), "near is light"
    low, high = shown("depth").limits
    assert layers.depth[hit].min() <= low < high <= layers.depth[hit].max()
    height = lightness(shown("height").rgb)
    assert height[ball].max() < height[hit & ~ball].min(), "low is dark"
    assert shown("height").limits[0] > shown("height").limits[1], "the light end comes first"
    angle = shown("view_angle")
    assert angle.unit == "°" and angle.limits[1] <= 90
    assert np.corrcoef(lightness(angle.rgb)[hit], layers.view_angle[hit])[0, 1] < -0.9
    squarely = hit & (layers.view_angle < 0.1)
    red, green, blue = shown("normal").rgb[squarely].astype(int).T
    assert (
        squarely.any()
        and (blue > 220).all()
        and (abs(red - 128) < 80).all()
        and (abs(green - 128) < 80).all()
    )
    colours = np.unique(shown("label").rgb[hit], axis=0)
    assert len(colours) >= len(np.unique(layers.attributes["label"][hit])) - 1
    np.testing.assert_array_equal(shown("colour").rgb[hit], layers.attributes["colour"][hit])
    assert (lightness(shown("edge").rgb)[layers.edge] > 200).all() and (
        lightness(shown("edge").rgb)[hit & ~layers.edge] < 120
    ).all()
    far = np.rint(255 * colour_table()[0])
    np.testing.assert_array_equal(shown("depth").rgb[hit][np.argmax(layers.depth[hit])], far)


@pytest.mark.parametrize("background", [0.0, np.nan, -7.5])
@pytest.mark.parametrize("name", ["depth", "range"])
def test_the_background_is_known_from_depth_alone(name, background):
    vertices, faces = meshes.icosphere(2, 1.0)
    made = dr.render(
        (vertices + [0, 0, 4], faces),
        np.eye(4),
        cameras.calibration("pinhole", 40, 30),
        name,
        background=background,
    )
    alpha = dr.render(
        (vertices + [0, 0, 4], faces), np.eye(4), cameras.calibration("pinhole", 40, 30), "alpha"
    ).alpha
    np.testing.assert_array_equal(made._seen(), alpha > 0)


@pytest.mark.parametrize("name", ["face_index", "view_angle", "position", "barycentric", "normal"])
def test_what_is_seen_is_known_from_any_layer(layers, name):
    assert (dr.Layers(**{name: getattr(layers, name)})._seen() == (layers.alpha > 0)).all()
    assert dr.Layers(attributes={"a": np.zeros((3, 4))})._seen().all()


@pytest.mark.parametrize("size", [(1, 1), (2000, 3), (3, 2000), (2500, 1700)])
def test_any_size_is_drawn(size):
    empty = dr.render(
        meshes.icosphere(0),
        np.eye(4),
        dr.Calibration(*size, 50.0),
        ("depth", "view_angle", "position", "edge", "face_index"),
    )
    assert (empty.face_index < 0).all()
    assert empty.picture().width > 400
    full = dr.render(
        meshes.icosphere(0, 5.0, True), np.eye(4), dr.Calibration(*size, 50.0), ("depth", "normal", "edge")
    )
    assert full.picture().width > 400


def test_thin_lines_of_masks_are_not_lost():
    edge = np.zeros((3000, 4000), bool)
    edge[1234, :] = True
    picture = lightness(np.asarray(draw_picture({"edge": edge}, np.ones(edge.shape, bool)))[20:600, 20:880])
    assert (picture.max(axis=0) > 110).all()


@pytest.mark.parametrize(
    ("limits", "written"),
    [
        ((18.23, 48.31), ("18.2", "48.3")),
        ((5.3, 1234.4), ("5.3", "1234")),
        ((1914.007, 1923.192), ("1914.01", "1923.19")),
        ((5_200_000.0, 5_200_100.0), ("5200000", "5200100")),
        ((0.0657, 8.6e-9), ("0.0657", "0")),
        ((-120.46, 30.26), ("-120", "30.3")),
        ((1914.5, 1914.5), ("1914.5", "1914.5")),
        ((1e-9, 2e-9), ("1e-09", "2e-09")),
        ((1.0, 2e30), ("1", "2e+30")),
    ],
)
def test_scales_say_what_lies_between_their_ends(monkeypatch, limits, written):
    texts = []
    pen = SimpleNamespace(
        text=lambda at, text, *_, **__: texts.append(text), textlength=lambda text, _: len(text)
    )
    caption(Image.new("RGB", (440, 60)), pen, "height", limits, "", (0, 0), 440)
    assert texts == [written[1], written[0], "height"]


def test_names_that_are_not_there(layers):
    with pytest.raises(ValueError, match="no image 'depths' here; depth, alpha"):
        layers.picture("depths")
    with pytest.raises(ValueError, match="no images here"):
        dr.Layers().picture()


@needs_matplotlib
def test_plots(layers):
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure = layers.plot()
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == [*list(layers.images())[:-1], "pair, 1 of 2"]  # not normals, positions and colours
    depth = next(axes for axes in figure.axes if axes.get_title() == "depth")
    np.testing.assert_array_equal(depth.images[0].get_array().filled(0), layers.depth)
    assert depth.images[0].get_extent() == [0, 130, 90, 0]
    figure.savefig(io.BytesIO(), format="png")
    own, (left, right) = plt.subplots(1, 2)
    assert layers.plot("range", "normal", axes=[left, right]) is own
    assert left.get_title() == "range" and right.images
    single, axes = plt.subplots()
    assert layers.plot("edge", axes=axes) is single
    with pytest.raises(ValueError, match="1 axes for 2 layers"):
        layers.plot("range", "normal", axes=axes)
    with pytest.raises(ValueError, match="no image 'x'"):
        layers.plot("x")
    empty = dr.render(meshes.icosphere(0), np.eye(4), dr.Calibration(30, 20, 50.0), ("depth", "view_angle"))
    empty.plot().savefig(io.BytesIO(), format="png")
    plt.close("all")


@needs_matplotlib
def test_heights_orthophotos_and_pairs_are_plotted_where_they_lie():
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    mesh = meshes.terrain(np.random.default_rng(2), 30, 30, 20.0, 12.0, 1.0)
    scene, calibration = dr.Scene(*mesh), dr.Calibration(90, 60, 80.0)
    field = dr.height_field(scene, resolution=0.5)
    figure = field.plot()
    left, bottom, right, top = field.bounds
    assert figure.axes[0].images[0].get_extent() == [left, right, bottom, top]
    shown = figure.axes[0].images[0].get_array()
    np.testing.assert_array_equal(shown.filled(np.nan), field.heights)
    assert [axes.get_title() for axes in figure.axes if axes.get_title()] == ["height"]

    colours = np.random.default_rng(3).integers(0, 256, (60, 90, 3), np.uint8)
    for photo in (
        colours,
        colours[..., 0].astype(np.float32),
        np.dstack([colours, colours[..., 0]]).astype(np.uint16),
    ):
        ortho = dr.orthorectify(photo, field, np.eye(4), calibration)
        figure = ortho.plot()
        assert figure.axes[0].images[0].get_extent() == [left, right, bottom, top]
        if photo is colours:
            drawn = figure.axes[0].images[0].get_array()
            np.testing.assert_array_equal(drawn[ortho.mask], ortho.image[ortho.mask])
        image = ortho.picture()
        assert image.mode == "RGB"
        assert ortho._repr_png_().startswith(b"\x89PNG")

    right_calibration = dr.Calibration(70, 50, 60.0)
    pair = dr.render_stereo(scene, np.eye(4), calibration, 0.5, right_calibration=right_calibration)
    figure = pair.plot()
    extents = {axes.get_title(): axes.images[0].get_extent() for axes in figure.axes if axes.get_title()}
    assert extents["left depth"] == [0, 90, 60, 0]
    assert extents["right depth"] == [0, 70, 50, 0]
    assert list(extents) == ["left depth", "right depth", "disparity", "occlusion", "consistency"]
    single, axes = plt.subplots()
    assert field.plot(axes) is single
    with pytest.raises(ValueError, match="1 axes for 5"):
        pair.plot(axes)
    plt.close("all")


def test_plotting_says_what_it_needs(layers, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"depthraster\[plot\]"):
        layers.plot("depth")
