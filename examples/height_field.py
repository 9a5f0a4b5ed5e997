"""Make an elevation model of a mesh, and an orthophoto of a photo, hidden ground left out: two GeoTIFFs and a picture.

usage: python height_field.py [folder]

It needs the extras geo (rasterio) and resample (scipy).
"""

import sys
from pathlib import Path

import numpy as np
import trimesh
from PIL import Image

import depthraster as dr

folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")

# A hill with a tower, in UTM: X east, Y north, Z up, metres.
n, origin = 301, np.array([382_000.0, 5_200_000.0, 540.0])
east, north = np.meshgrid(np.linspace(-75, 75, n), np.linspace(-75, 75, n))
up = 20 * np.exp(-(east**2 + north**2) / 40**2) + np.sin(east / 6) * np.sin(north / 9)
corner = (np.arange(n - 1)[:, None] * n + np.arange(n - 1)).ravel()
faces = np.concatenate([corner[:, None] + [0, 1, n + 1], corner[:, None] + [0, n + 1, n]])
hill = trimesh.Trimesh(np.stack([east, north, up], axis=-1).reshape(-1, 3), faces, process=False)
tower = trimesh.creation.box(bounds=[[-6, -4, 10], [4, 6, 50]])
mesh = trimesh.util.concatenate([hill, tower])
scene = dr.Scene(mesh.vertices + origin, mesh.faces)

# The elevation model: the highest point of the mesh above the centre of each cell.
field = dr.height_field(scene, resolution=0.25, crs="EPSG:32632")
field.save(folder / "heights.tif")  # write_height_field writes to disk at once what is too large for memory
print(f"{field}: {np.nanmin(field.heights):.2f} to {np.nanmax(field.heights):.2f} m")

# A photo from the south-west. There is no camera here, so it is made of what each pixel sees: a chequered, lit landscape.
lens = dr.Calibration(width=1200, height=900, f=1000, cx=6, cy=-4, k1=-0.08, k2=0.03, p1=4e-4, p2=-3e-4)
transform = dr.look_at(origin + [-60, -70, 130], origin + [0, 0, 15], up=(0, 1, 0))
seen = dr.render(scene, transform, lens, ("position", "normal"), normal_frame="chunk")
chequer = np.nan_to_num(np.floor((seen.position - origin) / 10).sum(axis=-1) % 2)
light = np.clip(seen.normal @ [-0.4, 0.3, 0.85], 0.1, 1)
colours = np.where(chequer[..., None] > 0, [120, 150, 80], [200, 190, 150])
photo = (colours * light[..., None]).astype(np.uint8)

# Laid onto the cells; those behind the tower are hidden from the camera, and masked.
ortho = dr.orthorectify(photo, field, transform, lens, scene=scene)
ortho.save(folder / "ortho.tif")
print(f"the photo shows {ortho.mask.mean():.0%} of the {ortho.mask.size} cells")

picture = field.picture()
beside = Image.fromarray(np.where(ortho.mask[..., None], ortho.image, 40)).resize((880, 880))
sheet = Image.new("RGB", (picture.width + 900, picture.height), picture.getpixel((0, 0)))
sheet.paste(picture, (0, 0))
sheet.paste(beside, (picture.width, 20))
sheet.save(folder / "heights.png")
