"""ICC profiles (version 2, three primaries and a gamma), which Pillow reads and does not write."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

D50 = np.array([0.9642, 1.0, 0.8249])
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
SPACES = {
    "Display P3": ((0.3127, 0.3290), (0.680, 0.320, 0.265, 0.690, 0.150, 0.060), 2.2),
    "Adobe RGB": ((0.3127, 0.3290), (0.64, 0.33, 0.21, 0.71, 0.15, 0.06), 2.19921875),
    "ProPhoto": ((0.3457, 0.3585), (0.7347, 0.2653, 0.1596, 0.8404, 0.0366, 0.0001), 1.8),
    "sRGB": ((0.3127, 0.3290), (0.64, 0.33, 0.30, 0.60, 0.15, 0.06), 0.0),
}
"""{name: (white, red, green and blue, gamma)}; x and y of each; gamma 0: sRGB's own curve."""


def xyz(x: float, y: float) -> NDArray[np.float64]:
    return np.array([x / y, 1.0, (1 - x - y) / y])


def to_xyz(name: str) -> NDArray[np.float64]:
    """[3, 3]: from linear values of the space to XYZ relative to its own white."""
    white, points, _ = SPACES[name]
    primaries = np.stack([xyz(*points[i : i + 2]) for i in (0, 2, 4)], 1)
    return primaries * np.linalg.solve(primaries, xyz(*white))


def decoded(values: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    """Light of values in 0..1."""
    gamma = SPACES[name][2]
    return values**gamma if gamma else np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def encoded(light: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    """The inverse of `decoded`."""
    gamma, light = SPACES[name][2], np.clip(light, 0, 1)
    if gamma:
        return light ** (1 / gamma)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def adapted(name: str) -> NDArray[np.float64]:
    """[3, 3]: to XYZ relative to D50, as profiles keep it (Bradford)."""
    white = xyz(*SPACES[name][0])
    scale = np.diag((BRADFORD @ D50) / (BRADFORD @ white))
    return np.linalg.inv(BRADFORD) @ scale @ BRADFORD @ to_xyz(name)


def from_srgb(pixels: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
    """The same colours, [H, W, 3] in sRGB, as numbers of another space."""
    light = decoded(pixels / 255, "sRGB") @ (np.linalg.inv(adapted(name)) @ adapted("sRGB")).T
    found: NDArray[np.uint8] = np.round(encoded(light, name) * 255).astype(np.uint8)
    return found


def curve(gamma: float) -> bytes:
    """A tone curve of this gamma, or sRGB's own for 0."""
    if gamma:
        return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))
    table = np.round(decoded(np.linspace(0, 1, 1024), "sRGB") * 65535).astype(">u2")
    return b"curv\0\0\0\0" + struct.pack(">I", 1024) + table.tobytes()


def profile(name: str) -> bytes:
    """Of an RGB space."""
    columns, tone = adapted(name).T, curve(SPACES[name][2])
    tags = {key: point(*column) for key, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)}
    return written(b"RGB ", {**tags, b"rTRC": tone, b"gTRC": tone, b"bTRC": tone})


def grey_profile(gamma: float) -> bytes:
    return written(b"GRAY", {b"kTRC": curve(gamma)})


def point(x: float, y: float, z: float) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in (x, y, z)))


def written(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    text = b"test\0"
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78),
        b"cprt": b"text\0\0\0\0" + text,
        b"wtpt": point(*D50),
        **tags,
    }
    table, data = struct.pack(">I", len(tags)), b""
    begin = 128 + 4 + 12 * len(tags)
    for key, value in tags.items():
        table += key + struct.pack(">II", begin + len(data), len(value))
        data += value + bytes(-len(value) % 4)
    size = begin + len(data)
    head = struct.pack(">I4sI4s4s4s", size, b"lcms", 0x02100000, b"mntr", space, b"XYZ ")
    head += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + table + data
