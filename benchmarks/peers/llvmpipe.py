"""OpenGL as a processor draws it, Mesa's llvmpipe through moderngl: the mesh in buffers, one draw call, the image read back.

Vertices are float32 and lie in a vertex buffer with an index buffer beside it; back faces are culled by GL. Images are
drawn with row 0 at the top. Two ways lead to depths: a float32 depth buffer, read back and made linear in place, and a
float32 colour buffer that takes Z itself. OpenGL knows no lens: a pinhole's image it is, or one whose vertices alone are
where the lens has them.

The commonest change is another way to draw: a class with another shader, beside `Distorted`.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import moderngl
import numpy as np
import numpy.typing as npt

import depthraster as dr
from peers import Mesh, Missing
from peers.depth_buffer import linearize, near_and_far

_PINHOLE = """
#version 330
uniform mat4 camera;
uniform vec4 scale;  // 2 f / width, 2 f / height, 2 cx / width, 2 cy / height
uniform vec2 reach;  // clip z = reach.x * Z + reach.y
in vec3 position;
out float depth;
void main() {
    vec4 p = camera * vec4(position, 1.0);
    depth = p.z;
    gl_Position = vec4(scale.xy * p.xy + scale.zw * p.z, reach.x * p.z + reach.y, p.z);
}
"""

# The formula of docs/conventions.md; farther out than the lens images anything, the radial factor stays.
_LENS = """
#version 330
uniform mat4 camera;
uniform vec4 scale;
uniform vec2 reach;
uniform vec4 radial;      // k1 .. k4
uniform vec4 tangential;  // p1 .. p4
uniform vec2 affine;      // b1 / f, b2 / f
uniform float most;       // r^2 up to which the polynomial is used
in vec3 position;
out float depth;
void main() {
    vec4 p = camera * vec4(position, 1.0);
    depth = p.z;
    vec2 image = p.xy;
    if (p.z > 0.0) {
        vec2 q = p.xy / p.z;
        float r2 = min(dot(q, q), most);
        float R = 1.0 + r2 * (radial.x + r2 * (radial.y + r2 * (radial.z + r2 * radial.w)));
        float D = 1.0 + r2 * (tangential.z + r2 * tangential.w);
        vec2 t = dot(q, q) > most ? vec2(0.0) : vec2(
            tangential.x * (r2 + 2.0 * q.x * q.x) + 2.0 * tangential.y * q.x * q.y,
            tangential.y * (r2 + 2.0 * q.y * q.y) + 2.0 * tangential.x * q.x * q.y) * D;
        vec2 d = q * R + t;
        image = vec2(d.x + affine.x * d.x + affine.y * d.y, d.y) * p.z;
    }
    gl_Position = vec4(scale.xy * image + scale.zw * p.z, reach.x * p.z + reach.y, p.z);
}
"""

_NOTHING = "#version 330\nin float depth;\nvoid main() {}\n"
_COLOUR = "#version 330\nin float depth;\nout float colour;\nvoid main() { colour = depth; }\n"


class DepthBuffer:
    """`Peer` that draws a pinhole's image into a float32 depth buffer."""

    vertex_shader, fragment_shader = _PINHOLE, _NOTHING

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        try:
            # By their run-time names: the others are there only where things are compiled.
            self._gl = moderngl.create_context(
                standalone=True, backend="egl", libgl="libGL.so.1", libegl="libEGL.so.1"
            )
        except Exception as error:
            raise Missing(
                f"no OpenGL context without a display ({error}): apt-get install libegl1 libgl1-mesa-dri"
            ) from None
        if "llvmpipe" not in self._gl.info["GL_RENDERER"]:
            raise Missing(f"OpenGL is drawn by {self._gl.info['GL_RENDERER']} here, not by llvmpipe")
        self._pool = ThreadPoolExecutor(os.cpu_count())
        self._size = (0, 0)
        self._made: list[moderngl.VertexArray | moderngl.Program | moderngl.Buffer] = []

    def build(self) -> None:
        """Fill vertex and index buffers, compile the shaders."""
        for thing in self._made:
            thing.release()
        gl = self._gl
        vertices = gl.buffer((self._mesh.vertices - self._mesh.origin).astype(np.float32))
        indices = gl.buffer(np.ascontiguousarray(self._mesh.faces, np.uint32))
        self._program = gl.program(self.vertex_shader, fragment_shader=self.fragment_shader)
        self._array = gl.vertex_array(self._program, [(vertices, "3f", "position")], indices)
        gl.finish()
        self._made = [self._array, self._program, vertices, indices]

    def aim(self, transform: npt.NDArray[np.float64], calibration: dr.Calibration) -> None:
        """Provide a target of the image's size, and the matrices, near and far close around the mesh."""
        c = calibration
        if self._size != (c.width, c.height):
            self._size = c.width, c.height
            self._target()
            self._out = np.ones((c.height, c.width), np.float32)
        rotation = transform[:3, :3].T
        camera = np.eye(4)
        camera[:3, :3] = rotation
        camera[:3, 3] = rotation @ (self._mesh.origin - transform[:3, 3])
        self._near, self._far = near, far = near_and_far(self._mesh, transform)
        uniforms = {
            "camera": camera.T,
            "scale": (2 * c.f / c.width, 2 * c.f / c.height, 2 * c.cx / c.width, 2 * c.cy / c.height),
            "reach": ((far + near) / (far - near), -2 * far * near / (far - near)),
            "radial": (c.k1, c.k2, c.k3, c.k4),
            "tangential": (c.p1, c.p2, c.p3, c.p4),
            "affine": (c.b1 / c.f, c.b2 / c.f),
            "most": (min(c.valid_radius, 1e9) ** 2,),
        }
        for name, values in uniforms.items():
            if name in self._program:
                self._program[name].write(np.asarray(values, np.float32).tobytes())

    def _target(self) -> None:
        self._frame = self._gl.framebuffer([], self._gl.depth_texture(self._size))

    def _draw(self) -> None:
        gl = self._gl
        self._frame.use()
        gl.viewport = (0, 0, *self._size)
        gl.enable_only(moderngl.DEPTH_TEST | moderngl.CULL_FACE)
        gl.front_face = "cw"  # as the image stands on its head
        self._frame.clear()
        self._array.render()

    def render(self) -> npt.NDArray[np.float32]:
        """Draw, read back, and return Z."""
        self._draw()
        self._frame.read_into(self._out, components=1, attachment=-1, dtype="f4")
        linearize(self._out, self._near, self._far, self._pool)
        return self._out

    def covered(self, depth: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
        """Return which pixels are before the far plane."""
        return depth < self._far * (1 - 1e-5)

    def about(self) -> str:
        """Return what draws."""
        return (
            f"moderngl {moderngl.__version__}, {self._gl.info['GL_RENDERER']}, {self._gl.info['GL_VERSION']}"
        )


class Distorted(DepthBuffer):
    """`Peer` that draws vertices where the lens has them, and straight edges between."""

    vertex_shader = _LENS


class FloatTarget(DepthBuffer):
    """`Peer` that draws a pinhole's image into a float32 colour buffer."""

    fragment_shader = _COLOUR

    def _target(self) -> None:
        gl = self._gl
        self._frame = gl.framebuffer(
            [gl.texture(self._size, 1, dtype="f4")], gl.depth_renderbuffer(self._size)
        )

    def render(self) -> npt.NDArray[np.float32]:
        """Draw, read back, and return Z; 0 where nothing is."""
        self._draw()
        self._frame.read_into(self._out, components=1, dtype="f4")
        return self._out

    def covered(self, depth: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
        """Return which pixels were drawn."""
        return depth > 0.0
