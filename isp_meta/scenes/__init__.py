"""Scenes to train and to measure on: picture files led to linear raw, and data sets of them."""

from .read import (
    cameras_of,
    find_scenes,
    linear_camera,
    read_scene,
    render_scene,
    scene_name,
    seeded,
    without_file,
)

__all__ = [
    "cameras_of",
    "find_scenes",
    "linear_camera",
    "read_scene",
    "render_scene",
    "scene_name",
    "seeded",
    "without_file",
]
