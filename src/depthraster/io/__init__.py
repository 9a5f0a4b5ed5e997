"""Files in and out: meshes, cameras, images. Foreign formats stay here; plain values leave."""
