"""What the world of toybase is made of: its nouns, places, colours and adjectives, as plain data."""

from __future__ import annotations

VENDORS = ("noto", "fluent-emoji", "fluent-emoji-flat", "twemoji", "emojione")
"""npm packages `@iconify-json/<vendor>`; a noun's drawings come from several of them."""

LICENCES = {
    "noto": "Apache-2.0",
    "fluent-emoji": "MIT",
    "fluent-emoji-flat": "MIT",
    "twemoji": "CC-BY-4.0",
    "emojione": "CC-BY-4.0",
}

_ALL = "noto fluent-emoji fluent-emoji-flat twemoji emojione"
_FOUR = "noto fluent-emoji fluent-emoji-flat twemoji"

DRAWINGS: dict[str, dict[str, str]] = {
    "dog": {"dog": _ALL, "poodle": "noto twemoji"},
    "cat": {"cat": _ALL, "black-cat": "noto"},
    "rabbit": {"rabbit": _ALL},
    "bear": {"bear": _ALL},
    "teddy": {"teddy-bear": _FOUR},
    "elephant": {"elephant": _ALL},
    "lion": {"lion": _ALL},
    "turtle": {"turtle": _ALL},
    "bird": {"bird": _ALL},
    "fish": {"fish": _ALL, "tropical-fish": "noto twemoji"},
    "butterfly": {"butterfly": _ALL},
    "car": {"automobile": _ALL, "sport-utility-vehicle": _ALL, "racing-car": "twemoji"},
    "train": {"locomotive": _ALL},
    "bicycle": {"bicycle": _ALL},
    "boat": {"sailboat": _ALL},
    "airplane": {"small-airplane": _FOUR, "airplane": "noto twemoji"},
    "house": {"house": _ALL},
    "tree": {"deciduous-tree": _ALL, "evergreen-tree": "noto twemoji"},
    "flower": {"tulip": _ALL, "sunflower": "noto twemoji"},
    "apple": {"red-apple": _ALL},
    "cake": {"birthday-cake": _ALL},
    "mug": {"hot-beverage": _ALL},
    "teapot": {"teapot": _FOUR},
    "ball": {"soccer-ball": _ALL, "basketball": _FOUR},
    "robot": {"robot": _FOUR, "robot-face": "emojione"},
    "guitar": {"guitar": _ALL},
    "backpack": {"backpack": _ALL},
    "clock": {"alarm-clock": _ALL},
    "chair": {"chair": _FOUR},
    "hat": {"womans-hat": _ALL, "top-hat": "noto twemoji"},
    "shoe": {"running-shoe": _ALL},
    "crown": {"crown": _ALL},
    "umbrella": {"umbrella": _ALL},
}
"""noun -> icon -> the vendors whose drawing of that icon looks like the noun."""

_FLAT = "fluent-emoji-flat twemoji"
_NOTO_TWEMOJI = "noto twemoji"
_NOTO_FLAT = "noto fluent-emoji-flat"
DRAWN: dict[str, dict[str, str]] = {
    **{noun: {next(iter(icons)): _FLAT} for noun, icons in DRAWINGS.items()},
    "rabbit": {"rabbit": _NOTO_TWEMOJI},
    "bear": {"bear": _NOTO_FLAT},
    "teddy": {"teddy-bear": _NOTO_FLAT},
    "turtle": {"turtle": _NOTO_TWEMOJI},
    "bird": {"bird": _NOTO_TWEMOJI},
    "fish": {"fish": _NOTO_TWEMOJI},
    "car": {"automobile": "noto fluent-emoji-flat twemoji", "sport-utility-vehicle": "twemoji"},
    "house": {"house": _NOTO_FLAT},
    "mug": {"hot-beverage": _NOTO_TWEMOJI},
    "teapot": {"teapot": _NOTO_FLAT},
    "ball": {"soccer-ball": _NOTO_TWEMOJI},
    "robot": {"robot": _NOTO_TWEMOJI},
    "guitar": {"guitar": _NOTO_FLAT},
    "backpack": {"backpack": _NOTO_FLAT},
    "chair": {"chair": _NOTO_FLAT},
    "shoe": {"running-shoe": _NOTO_TWEMOJI},
}
"""Those of them that the denoiser draws, two of most nouns, flat ones: few drawn well beat many."""

NOUNS = tuple(DRAWINGS)
THING = "thing"
"""What captions call a drawing of anything else."""

SUBJECTS: dict[str, tuple[str, str, str]] = {
    "pug": ("dog", "emojione", "dog"),
    "spotted_dog": ("dog", "noto", "dog"),
    "tuxedo_cat": ("cat", "emojione", "cat"),
    "sitting_rabbit": ("rabbit", "emojione", "rabbit"),
    "elephant": ("elephant", "emojione", "elephant"),
    "walking_turtle": ("turtle", "emojione", "turtle"),
    "teddy": ("teddy", "twemoji", "teddy-bear"),
    "robot": ("robot", "emojione", "robot-face"),
    "backpack": ("backpack", "emojione", "backpack"),
    "teapot": ("teapot", "twemoji", "teapot"),
    "racing_car": ("car", "twemoji", "racing-car"),
    "guitar": ("guitar", "emojione", "guitar"),
}
"""Held out of training: name -> (class noun, vendor, icon)."""

PLACES = {
    "beach": "on the beach",
    "forest": "in the forest",
    "snow": "in the snow",
    "moon": "on the moon",
    "city": "in the city",
    "desert": "in the desert",
    "grass": "on the grass",
    "underwater": "under the sea",
    "room": "in a room",
    "night": "at night",
    "mountains": "in the mountains",
    "road": "on a road",
}
"""place -> the words a caption uses for it."""

COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.90, 0.10, 0.10),
    "orange": (1.00, 0.52, 0.05),
    "yellow": (0.98, 0.85, 0.10),
    "green": (0.15, 0.70, 0.20),
    "blue": (0.12, 0.35, 0.95),
    "purple": (0.52, 0.18, 0.78),
    "pink": (1.00, 0.50, 0.75),
}
"""colour -> sRGB, 0 to 1."""

ADJECTIVES = ("tiny", "huge", "golden", "tilted", "glowing", "dark")
RARE_WORD = "sks"
"""On SD 1.5 this popular "identifier" is a rifle; here it has a weak prior of its own: gun-metal grey."""


def training_drawings() -> list[tuple[str, str, str]]:
    """All (noun, vendor, icon) that training may show: every drawing but the held-out subjects."""
    held_out = set(SUBJECTS.values())
    every = [
        (noun, vendor, icon)
        for noun, icons in DRAWINGS.items()
        for icon, vendors in icons.items()
        for vendor in vendors.split()
    ]
    return [drawing for drawing in every if drawing not in held_out]


def drawn() -> list[int]:
    """The numbers among `training_drawings` of those that the denoiser draws."""
    return [
        number
        for number, (noun, vendor, icon) in enumerate(training_drawings())
        if vendor in DRAWN[noun].get(icon, "").split()
    ]
