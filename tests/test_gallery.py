"""The page that shows an export, in a browser; and the thumbnails on it."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from browser import used
from depthraster.drawing import colour_table
from depthraster.gallery import thumbnail, write_gallery
from exports import manifest, run, write_survey

LOSSY = 12  # of 255: what compressing a thumbnail may change
LABELS = [
    "DJI_0001.JPG",
    "DJI_0002.JPG",
    "rég α/DJI_0003.JPG",
    "<script>document.title='broken'</script>",
    "\"><img src=x onerror=document.title='broken'>",
    "'&lt;b&gt; #50% \u202egnp",
]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gallery")
    result = run(
        "render", *write_survey(folder, LABELS), "-o", folder / "out", "--layer", "depth", "--layer", "alpha"
    )
    assert result.exit_code == 0, result.output
    return folder / "out"


def test_the_page_shows_every_image_and_asks_nobody(out):
    told = used(
        out / "index.html",
        """
        const images = [...document.images];
        for (const image of images) { image.loading = "eager"; await image.decode(); }
        const figure = document.querySelector("figure");
        return {
          title: document.title,
          labels: [...document.querySelectorAll("figcaption b")].map((b) => b.textContent),
          sizes: images.map((image) => [image.naturalWidth, image.naturalHeight]),
          asked: performance.getEntriesByType("resource").map((e) => e.name).filter((n) => !n.startsWith("data:")),
          links: [...document.links].map((a) => decodeURIComponent(a.href).replace(/.*\\/out\\//, "")),
          scripts: document.scripts.length,
          text: figure.innerText,
          bar: getComputedStyle(document.querySelector("figure .bar")).backgroundImage,
          wide: document.documentElement.scrollWidth <= innerWidth,
        };""",
    )
    assert told["title"] == "Depth of Sheet"
    assert told["labels"] == LABELS
    assert told["sizes"] == [[80, 60]] * len(LABELS)
    assert told["asked"] == []
    assert told["scripts"] == 1
    assert told["wide"]
    records = manifest(out)["images"]
    expected = [f["path"] for r in records for f in r["files"] if f["layer"] != "thumbnail"]
    assert told["links"] == expected and all((out / path).is_file() for path in expected)
    first = records[0]
    for words in (
        "DJI_0001.JPG",
        f"depth {first['min']:.6g} to {first['max']:.6g}",
        f"{100 * first['coverage']:.1f} % covered",
        "80 × 60",
        f"{first['colours'][0]:.4g}",
    ):
        assert words in told["text"], told["text"]
    assert told["bar"].count("rgb(") == 16
    ends = re.findall(r"rgb\((\d+), (\d+), (\d+)\)", told["bar"])
    near, far = (np.rint(255 * colour_table()[k]).astype(int).tolist() for k in (-1, 0))
    assert [int(x) for x in ends[0]] == near and [int(x) for x in ends[-1]] == far


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("dji_000", [0, 1, 2]),
        ("ÉG Α", [2]),
        ("<script>", [3]),
        ("#50%", [5]),
        (" ", list(range(6))),
        ("none", []),
    ],
)
def test_the_page_is_searched_by_label(out, typed, found):
    told = used(
        out / "index.html",
        f"""
        const shown = () => [...document.querySelectorAll("figure")].filter((f) => f.checkVisibility())
          .map((f) => f.dataset.label);
        const search = document.getElementById("search");
        const before = shown();
        search.value = {typed!r};
        search.dispatchEvent(new Event("input"));
        return {{ before, after: shown(), count: document.getElementById("count").textContent, hash: location.hash }};""",
    )
    assert told["before"] == LABELS
    assert told["after"] == [LABELS[k] for k in found]
    assert told["count"] == (f"{len(found)} of {len(LABELS)}" if typed.strip() else "")
    # The address leads to the same view.
    again = used(
        out / "index.html",
        'return [...document.querySelectorAll("figure")].filter((f) => !f.hidden).map((f) => f.dataset.label);',
        told["hash"],
    )
    assert again == told["after"]


def test_the_policy_keeps_the_page_from_the_network(out):
    told = used(
        out / "index.html",
        """
        let answer = "";
        document.addEventListener("securitypolicyviolation", (e) => { answer += e.effectiveDirective + " "; });
        const image = document.createElement("img"); image.src = "http://127.0.0.1:9/x.png"; document.body.append(image);
        try { await fetch("http://127.0.0.1:9/"); } catch { }
        await new Promise((done) => setTimeout(done, 200));
        return answer;""",
    )
    assert "img-src" in told and "connect-src" in told


def test_the_page_without_a_browser(out):
    text = (out / "index.html").read_text("utf-8")
    assert text.count("<figure ") == text.count("<img ") == len(LABELS)  # and none of a label's
    assert text.count("<script>") == 1
    assert not re.search(r"(src|href)=\"(https?:)?//", text)


@pytest.mark.parametrize(
    ("kinds", "said"), [("zz", "depth in"), (("range",), "range in"), (("z", "range"), "depth and range in")]
)
def test_the_page_says_whether_lengths_are_depth_or_range(tmp_path, out, kinds, said):
    content = manifest(out)
    images = [{**record, "kind": kind} for record, kind in zip(content["images"], kinds, strict=False)]
    write_gallery(tmp_path / "index.html", out, {**content, "images": images})
    text = (tmp_path / "index.html").read_text("utf-8")
    assert f" · {said} chunk units · " in text
    for record in images:
        word = "depth" if record["kind"] == "z" else "range"
        assert f"<p>{word} {record['min']:.6g} to" in text


def picture(depth: np.ndarray, seen: np.ndarray | None = None):
    data, limits = thumbnail(depth.astype(np.float32), np.ones(depth.shape, bool) if seen is None else seen)
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB")).astype(int), limits


def test_thumbnails_are_light_near_and_dark_far_in_even_steps_of_the_logarithm():
    depth = np.broadcast_to(np.geomspace(2, 200, 640), (480, 640))
    rgb, (near, far) = picture(depth)
    assert rgb.shape == (240, 320, 3)
    assert (near, far) == pytest.approx((2 * 100**0.01, 2 * 100**0.99), rel=0.01)
    table = np.rint(255 * colour_table()).astype(int)
    assert np.abs(rgb[120, 1] - table[-1]).max() < LOSSY and np.abs(rgb[120, -2] - table[0]).max() < LOSSY
    assert np.abs(rgb[120, 160] - table[128]).max() < LOSSY
    level, _ = picture(np.full((40, 60), 7.0))
    assert np.abs(level - table[128]).max() < LOSSY


def test_thumbnails_show_where_nothing_is_seen():
    depth = np.full((400, 600), 5.0)
    depth[:, :300] = np.nan
    rgb, limits = picture(depth, np.isfinite(depth))
    assert limits == (5.0, 5.0) and rgb[:, :150].mean() < 50 < rgb[:, 170:].mean()
    rgb, limits = picture(depth, np.zeros(depth.shape, bool))
    assert limits is None and np.abs(rgb - [33, 37, 46]).max() < LOSSY


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (3, 700), (2304, 3456)])
def test_thumbnails_of_any_shape(shape):
    rgb, _ = picture(np.full(shape, 3.0))
    assert 1 <= rgb.shape[1] <= 320 and 1 <= rgb.shape[0] <= 2560
    _, limits = picture(np.linspace(-3, 4, shape[0] * shape[1]).reshape(shape))
    assert limits[0] <= limits[1]
