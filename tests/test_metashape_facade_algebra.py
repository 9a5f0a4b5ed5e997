"""`Matrix` and `Vector` of the façade: numpy's results under Metashape's names, and refusals that say why."""

from __future__ import annotations

import ast
import json

import numpy as np
import pytest

import depthraster.metashape as Metashape

RNG = np.random.default_rng(20)
A, B = RNG.normal(size=(2, 4, 4))
A[3] = B[3] = 0, 0, 0, 1
P, Q = RNG.normal(size=(2, 3))


def similarity(scale: float) -> np.ndarray:
    q, _ = np.linalg.qr(RNG.normal(size=(3, 3)))
    matrix = np.eye(4)
    matrix[:3, :3] = scale * q * np.sign(np.linalg.det(q))
    matrix[:3, 3] = RNG.normal(size=3)
    return matrix


def test_products_are_those_of_linear_algebra():
    a, b, v = Metashape.Matrix(A), Metashape.Matrix(B), Metashape.Vector([*P, 1.0])
    np.testing.assert_array_equal(a * b, A @ B)
    np.testing.assert_array_equal(a * v, A @ [*P, 1.0])
    np.testing.assert_array_equal(a * 2, 2 * A)
    np.testing.assert_array_equal(0.5 * a, 0.5 * A)
    np.testing.assert_array_equal(a / 4, A / 4)
    np.testing.assert_array_equal(a + b, A + B)
    np.testing.assert_array_equal(a - b, A - B)
    np.testing.assert_array_equal(-a, -A)
    assert isinstance(a * b, Metashape.Matrix)
    assert isinstance(a * v, Metashape.Vector)
    np.testing.assert_allclose(a.inv() * a, np.eye(4), atol=1e-12)
    assert a.det() == pytest.approx(np.linalg.det(A))
    np.testing.assert_array_equal(a.t(), A.T)


def test_a_vector_times_a_vector_is_their_dot_product():
    p, q = Metashape.Vector(P), Metashape.Vector(Q)
    assert p * q == pytest.approx(P @ Q)
    assert isinstance(p * q, float)
    np.testing.assert_array_equal(Metashape.Vector.cross(p, q), np.cross(P, Q))
    np.testing.assert_array_equal(p + q, P + Q)
    np.testing.assert_array_equal(p - q, P - Q)
    np.testing.assert_array_equal(-p, -P)
    np.testing.assert_array_equal(3 * p, 3 * P)
    np.testing.assert_array_equal(p / 2, P / 2)
    p *= -1.5
    np.testing.assert_array_equal(p, -1.5 * P)


@pytest.mark.parametrize("number", [np.float32(2.5), np.float64(2.5), np.int64(2)])
def test_numbers_of_numpy_count_as_numbers_on_either_side(number):
    for value in (Metashape.Vector(P), Metashape.Matrix(A)):
        for product in (number * value, value * number):
            assert type(product) is type(value)
            np.testing.assert_array_equal(product, float(number) * np.asarray(value))


def test_points_are_moved_and_vectors_are_not():
    m = Metashape.Matrix(A)
    np.testing.assert_allclose(m.mulp(Metashape.Vector(P)), (A @ [*P, 1.0])[:3])
    np.testing.assert_allclose(m.mulv(Metashape.Vector(P)), (A @ [*P, 0.0])[:3])
    projective = np.diag([1.0, 1.0, 1.0, 2.0])
    np.testing.assert_allclose(Metashape.Matrix(projective).mulp(P), P / 2)


def test_a_similarity_comes_apart_into_rotation_scale_and_translation():
    whole = similarity(2.5)
    m = Metashape.Matrix(whole)
    assert m.scale() == pytest.approx(2.5)
    np.testing.assert_allclose(m.rotation(), whole[:3, :3] / 2.5)
    np.testing.assert_array_equal(m.translation(), whole[:3, 3])
    again = (
        Metashape.Matrix.Translation(m.translation())
        * Metashape.Matrix.Rotation(m.rotation())
        * Metashape.Matrix.Scale([m.scale()] * 3)
    )
    np.testing.assert_allclose(again, whole, atol=1e-15)


def test_class_functions_are_found_on_instances_too():
    np.testing.assert_array_equal(Metashape.Matrix().Diag((1, 2, 3)), np.diag([1.0, 2.0, 3.0]))
    assert Metashape.Matrix().size == (0, 0)
    rows = [Metashape.Vector([1, 2]), Metashape.Vector([3, 4])]
    np.testing.assert_array_equal(Metashape.Matrix(rows), [[1, 2], [3, 4]])


def test_singular_values_put_the_matrix_together_again():
    for values in (A, A[:3], A[:, :2]):
        u, s, v = Metashape.Matrix(values).svd()
        np.testing.assert_allclose(u * Metashape.Matrix.Diag(s) * v, values, atol=1e-14)


def test_elements_are_read_and_written():
    m, v = Metashape.Matrix(A), Metashape.Vector(P)
    m[1, 2] = 9.0
    assert m[1, 2] == 9.0
    assert A[1, 2] != 9.0, "the matrix is its own"
    np.testing.assert_array_equal(m.row(1), [A[1, 0], A[1, 1], 9.0, A[1, 3]])
    np.testing.assert_array_equal(m.col(0), A[:, 0])
    v.x, v[1] = 7.0, 8.0
    assert (v.x, v.y, v.z) == (7.0, 8.0, P[2])
    assert list(v) == [7.0, 8.0, P[2]] and len(v) == v.size == 3
    assert all(type(number) is float for number in v)
    copies = m.copy(), v.copy()
    m.zero(), v.zero()
    assert not np.asarray(m).any() and not np.asarray(v).any()
    assert np.asarray(copies[0]).any() and np.asarray(copies[1]).any()


def test_the_size_of_a_vector_is_set_as_in_the_manual():
    v = Metashape.Vector((1, 2, 3))
    w = v.copy()
    w.size = 4
    w.w = 5
    assert list(w) == [1, 2, 3, 5] and list(v) == [1, 2, 3]
    w.size = 2
    assert list(w) == [1, 2]
    with pytest.raises(IndexError, match="z was asked of a Vector of 2"):
        _ = w.z


def test_lengths():
    v = Metashape.Vector([3, 4])
    assert (v.norm(), v.norm2()) == (5.0, 25.0)
    assert list(v.normalized()) == [0.6, 0.8] and list(v) == [3, 4]
    v.normalize()
    assert list(v) == [0.6, 0.8]
    with pytest.raises(ValueError, match="length 0"):
        Metashape.Vector([0, 0]).normalize()


def test_vectors_and_matrices_are_true_and_equal_by_value():
    assert Metashape.Vector([0, 0, 0]) and Metashape.Matrix()
    assert Metashape.Vector(P) == Metashape.Vector(P) != Metashape.Vector(Q)
    assert Metashape.Matrix(A) == Metashape.Matrix(A) != Metashape.Matrix(B)
    assert Metashape.Matrix(A) != None and Metashape.Vector(P) != None  # noqa: E711  # as scripts write it
    with pytest.raises(TypeError, match="unhashable"):
        hash(Metashape.Vector(P))


def test_printed_matrices_are_lists_once_their_name_is_cut():
    text = str(Metashape.Matrix(A))
    assert text.startswith("Matrix([[") and text.endswith("]])")
    for parse in (json.loads, ast.literal_eval):
        np.testing.assert_array_equal(parse(text[len("Matrix(") : -1]), A)
    assert ast.literal_eval(str(Metashape.Vector(P))[len("Vector(") : -1]) == P.tolist()


def test_numpy_sees_arrays():
    np.testing.assert_array_equal(np.array(Metashape.Matrix(A)).flatten(), A.ravel())
    np.testing.assert_array_equal(A @ Metashape.Matrix(B), A @ B)
    np.testing.assert_array_equal(A[:3, :3] @ Metashape.Vector(P), A[:3, :3] @ P)
    assert np.linalg.norm(Metashape.Vector(P)) == pytest.approx(np.linalg.norm(P))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Metashape.Vector(["1", "2"]), TypeError, "nothing but numbers"),
        (lambda: Metashape.Vector(None), TypeError, "None was given"),
        (lambda: Metashape.Vector([[1, 2]]), TypeError, "a sequence of numbers"),
        (lambda: Metashape.Matrix([[1, 2], [3]]), TypeError, "rows of equal length"),
        (lambda: Metashape.Matrix.Rotation(A), ValueError, r"size is \(4, 4\); \(3, 3\) is needed"),
        (lambda: Metashape.Matrix.Translation([1, 2]), ValueError, "translation has 2 numbers; 3"),
        (lambda: Metashape.Matrix.Scale([1, 2]), ValueError, "scale has 2 numbers; 3"),
        (lambda: Metashape.Matrix(np.zeros((3, 3))).inv(), ValueError, "singular"),
        (lambda: Metashape.Matrix(np.zeros((4, 4))).rotation(), ValueError, "scale 0"),
        (lambda: Metashape.Matrix(A[:3]).inv(), ValueError, "a square one is needed"),
        (lambda: Metashape.Matrix(A[:3, :3]).translation(), ValueError, r"\(4, 4\) is needed"),
        (lambda: Metashape.Matrix(A) * Metashape.Vector(P), ValueError, "use mulp"),
        (lambda: Metashape.Matrix(A) * Metashape.Matrix(A[:3]), ValueError, "as many rows"),
        (lambda: Metashape.Matrix(A) + Metashape.Matrix(A[:3]), ValueError, "same size"),
        (lambda: Metashape.Vector(P) + Metashape.Vector([1]), ValueError, "3 and 1 components"),
        (lambda: Metashape.Vector(P) * Metashape.Vector([1]), ValueError, "3 and 1 components"),
        (lambda: Metashape.Matrix(A).mulp([1, 2]), ValueError, "point has 2 numbers; 3"),
        (lambda: Metashape.Matrix(A)[0], TypeError, "row and column are needed"),
        (lambda: Metashape.Vector(P) + 1, TypeError, "unsupported operand"),
        (lambda: Metashape.Vector(P) / 0, ZeroDivisionError, "divided by 0"),
        (lambda: Metashape.Matrix(A) / 0, ZeroDivisionError, "divided by 0"),
    ],
)
def test_what_does_not_fit_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_names_that_are_not_offered_say_so():
    for call, name in (
        (lambda: Metashape.Tasks, "Metashape.Tasks"),
        (lambda: Metashape.Matrix.isidentity, "Metashape.Matrix.isidentity"),
        (lambda: Metashape.Matrix(A).isidentity, "Metashape.Matrix.isidentity"),
        (lambda: setattr(Metashape.Vector(P), "length", 1), "Metashape.Vector.length"),
    ):
        with pytest.raises(Metashape.NotOfferedError, match=rf"{name} was asked for and is not offered"):
            call()
    assert not hasattr(Metashape.Matrix(A), "isidentity")
    with pytest.raises(AttributeError, match="can only be read"):
        Metashape.Matrix(A).size = (4, 4)
