"""The rules by which a rendered image agrees with the float64 twin; each names the pixel that breaks it.

Beyond 1e-3 px of every face edge the two must agree on coverage and on the face. Within it the renderer may
choose either side of the edge, but what it chooses must be a face within 1e-3 px of the ray, drawn at its own
place, and it may choose nothing only where a surface ends. The same holds for every lens model; as Z passes through
0 beside a wide camera, what it may be off by is measured by the distance there; as an orthographic view begins
anywhere, by the farthest that the face reaches. The tolerances are the design's; to add a layer, add its rule to
``check_agreement``.

One thing is allowed to the models beyond the frame that the design does not speak of: a ray may be off by 2e-7 px. In
the small images of these tests a pixel sees degrees, and a face at 89 degrees from its normal changes its distance
several times over within one; at 500 px per radian this allows 5e-8 of the distance and less.
"""

from __future__ import annotations

import numpy as np

import depthraster as dr
import reference

EDGE = 1e-3
"""Pixels of the undistorted plane."""
DEPTH = 1e-6
"""Relative."""
RAY = 2e-7
"""Pixels, see above."""
GRAZING = np.cos(np.radians(89.5))
LAYERS = ("depth", "alpha", "range", "face_index")


def compare(
    mesh: tuple[np.ndarray, np.ndarray],
    transform: np.ndarray,
    calibration: dr.Calibration,
    cull_faces: bool = True,
    storage: str = "auto",
    flat_index: np.ndarray | None = None,
) -> tuple[dr.Layers, reference.Answer]:
    """Render and trace a mesh, assert that both agree and return them; ``flat_index``: only these pixels."""
    scene = dr.Scene._with_storage(*mesh, storage)
    layers = dr.render(
        scene, transform, calibration, LAYERS, cull_faces=cull_faces, background=np.nan, depth="z"
    )
    answer = reference.trace(*mesh, transform, calibration, cull_faces, flat_index)
    check_agreement(layers, answer, mesh, transform, calibration, cull_faces, flat_index)
    return layers, answer


def check_agreement(
    layers: dr.Layers,
    answer: reference.Answer,
    mesh: tuple[np.ndarray, np.ndarray],
    transform: np.ndarray,
    calibration: dr.Calibration,
    cull_faces: bool,
    flat_index: np.ndarray | None = None,
) -> None:
    """Assert every rule of this module; ``layers`` rendered with a NaN background and depth as Z."""
    shape = (calibration.height, calibration.width)
    assert layers.depth.shape == layers.alpha.shape == layers.range.shape == layers.face_index.shape == shape
    assert layers.depth.dtype == layers.alpha.dtype == layers.range.dtype == np.float32
    assert layers.face_index.dtype == np.int32
    if flat_index is None:
        flat_index = np.arange(calibration.width * calibration.height)
    depth, alpha, length, claimed = (getattr(layers, name).ravel()[flat_index] for name in LAYERS)

    def none(wrong: np.ndarray, what: str) -> None:
        if wrong.any():
            worst = np.flatnonzero(wrong)
            i = worst[0]
            row, col = divmod(int(flat_index[i]), calibration.width)
            raise AssertionError(
                f"{what}: {len(worst)} of {len(wrong)} pixels, first (row {row}, col {col}): "
                f"rendered face {claimed[i]} depth {depth[i]!r} range {length[i]!r}; "
                f"twin face {answer.face_index[i]} depth {answer.depth[i]!r} range {answer.distance[i]!r} "
                f"runner-up {answer.runner_up[i]!r} "
                f"edge {answer.edge_distance[i]:.3g} px rim {answer.rim_distance[i]:.3g} px "
                f"cosine {answer.cosine[i]:.3g} sharpness {answer.sharpness[i]:.3g} ray {answer.rays[i]}"
            )

    covered, hit = claimed >= 0, answer.face_index >= 0
    none(alpha != np.where(covered, 1, 0).astype(np.float32), "alpha does not say what face_index says")
    none(np.isnan(depth) == covered, "depth does not say what face_index says")
    none(np.isnan(length) == covered, "range does not say what face_index says")

    border = reference.near_domain_border(calibration, flat_index, answer.imaged, EDGE)
    none(covered & ~answer.imaged & ~border, "a face is drawn where the lens images nothing")
    free = ~border & (answer.edge_distance >= EDGE)
    none((covered != hit) & free, "coverage differs")
    none(hit & ~covered & ~border & (answer.rim_distance >= EDGE), "a hole inside a connected surface")

    i = np.flatnonzero(covered & answer.imaged)
    if not len(i):
        return
    own = reference.trace_faces(answer, *mesh, transform, calibration, claimed, i)

    def none_of(wrong: np.ndarray, what: str) -> None:
        spread = np.zeros(len(flat_index), bool)
        spread[i] = wrong
        none(spread, what)

    none_of(own.gap >= EDGE, "the face drawn is not at the ray")
    if cull_faces:
        none_of(~own.front & (own.cosine > 1e-9), "a face that is turned away is drawn")
    other = (claimed != answer.face_index)[i]
    none_of(other & free[i] & ~(own.distance <= answer.distance[i] * (1 + DEPTH)), "a farther face is drawn")

    # The camera's Z of a point one unit along the ray; what depth may be off by is measured by depth where it is never
    # 0, else by range.
    frame, parallel = calibration.type == "frame", calibration.type == "orthographic"
    ray_length = 1.0 if parallel else np.linalg.norm(answer.rays[i], axis=1)
    z = 1.0 if parallel else answer.rays[i, 2] / ray_length
    base = own.farthest if parallel else own.distance
    allowed = DEPTH * base + (0.0 if frame else RAY * own.change)

    steep = own.cosine < GRAZING
    none_of((np.abs(length[i] - own.distance) > allowed) & ~steep, "range differs")
    none_of((np.abs(depth[i] - own.depth) > allowed * (z if frame else 1.0)) & ~steep, "depth differs")
    along = depth[i] * ray_length if frame else length[i]  # see `reference.Claim`
    none_of(
        (along < own.nearest * (1 - DEPTH)) | (along > own.farthest * (1 + DEPTH)), "depth leaves the face"
    )
    unlike = np.abs(length[i] * z - depth[i]) > DEPTH * (z if frame else 1.0) * length[i]
    none_of(unlike, "range and depth are not of one point")
