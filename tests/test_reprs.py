"""What results say of themselves: a line, however many points, rays and faces there are."""

from __future__ import annotations

import numpy as np
import pytest

import depthraster as dr

MESH = np.array([[-9.0, -9, 5], [9, -9, 5], [0, 9, 5], [0, 0, -5]]), np.array([[0, 1, 2], [0, 2, 3]])
CALIBRATION = dr.Calibration(width=20, height=10, f=20)
POINTS = np.array([[0.0, 0, 5], [0, 0, 9], [1, 0, 5], [0, 0, -1]])


def test_many_are_counted():
    views = [(np.eye(4), CALIBRATION), (dr.look_at((0, 0, 0), (0, 0, -1), (0, 1, 0)), CALIBRATION)]
    assert repr(dr.visible(MESH, POINTS, *views[0])) == "Visibility(4 points, 2 visible)"
    table = dr.visibility_table(MESH, POINTS, views)
    assert repr(table) == f"VisibilityTable(4 points x 2 views, {len(table.point)} pairs visible)"
    seen = dr.faces_seen(MESH, views[:1], cull_faces=False)
    assert repr(seen) == "FacesSeen(2 faces x 1 views, 1 pairs seen)"
    targets = np.array([[0.0, 0, 1], [0, 1, 1], [9, 0, 1]])
    assert repr(dr.pick_point(MESH, np.zeros(3), targets)) == "Picks(3 rays, 2 hits)"


def test_a_single_one_is_shown():
    seen = dr.visible(MESH, POINTS[0], np.eye(4), CALIBRATION)
    assert repr(seen) == "Visibility(status=VISIBLE, pixel=[10.  5.], depth=5.0)"
    picked = dr.pick_point(MESH, (0, 0, 0), (0, 0, 1))
    assert repr(picked) == "Picks(point=[0. 0. 5.], face_index=0, t=5.0)"


def test_lists_in_their_fields_do_no_harm():
    picks = dr.pick_point(MESH, np.zeros(3), np.array([[0.0, 0, 1], [9, 0, 1]]))
    assert repr(dr.Picks(*(field.tolist() for field in picks))) == "Picks(2 rays, 1 hits)"
    assert repr(picks._replace(face_index=None)).startswith("Picks(")
    seen = dr.visible(MESH, POINTS, np.eye(4), CALIBRATION)
    assert repr(dr.Visibility(*(field.tolist() for field in seen))) == repr(seen)
    table = dr.visibility_table(MESH, POINTS, [(np.eye(4), CALIBRATION)])
    assert repr(seen._replace(status=None)).startswith("Visibility(status=None")
    assert repr(table._replace(point=None)).startswith("VisibilityTable(4 points")


def test_layers_say_where_an_attribute_is():
    layers = dr.render(MESH, np.eye(4), CALIBRATION, ("depth",), attributes={"label": np.array([7, 8])})
    with pytest.raises(
        AttributeError, match=r"no layer 'label': it is an attribute, layers\.attributes\['label'\]"
    ):
        _ = layers.label
    with pytest.raises(AttributeError, match=r"no layer 'colour'$"):
        _ = layers.colour
    assert layers.normal is None  # a layer that was not asked for
