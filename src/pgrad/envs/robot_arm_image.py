"""Draw a robot arm, at three times the size and then reduced, so that edges are smooth."""

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from pgrad.errors import EnvError

Point = tuple[float, float]
Colour = tuple[int, int, int]

SIZE = 480  # pixels, width and height
FINENESS = 3
FILLED = 0.92  # of the image, by the reach

PAPER: Colour = (250, 250, 248)  # the ground, and outlines
REACHED: Colour = (239, 242, 245)  # the disc within reach
TARGETS: Colour = (229, 235, 241)  # the ring that targets lie in
EDGE: Colour = (203, 212, 221)
BASE: Colour = (42, 52, 65)
INNER_LINK: Colour = (38, 84, 124)
OUTER_LINK: Colour = (80, 178, 192)
JOINT: Colour = (250, 250, 248)
TARGET: Colour = (222, 60, 75)
TIP: Colour = (255, 183, 3)

# Parts of the reach, but for the joints, whose size is a part of their link's width.
LINK_WIDTHS = 0.085, 0.045  # at the base and at the tip
OUTLINE = 0.012
JOINT_SIZE = 0.45
BASE_RADIUS = 0.065
TIP_RADIUS = 0.028
TARGET_RADII = 0.05, 0.012  # ring and bull's eye
TARGET_LINE = 0.012
EDGE_LINE = 0.006


class Sheet:
    """A surface to draw on in units of the reach, y upwards, the base in the middle."""

    def __init__(self, pygame: Any) -> None:
        self.pygame = pygame
        self.fine = SIZE * FINENESS
        self.surface = pygame.Surface((self.fine, self.fine), depth=24)
        self.surface.fill(PAPER)

    def pixel(self, point: npt.ArrayLike) -> Point:
        """Return a point's position on the enlarged surface."""
        x, y = np.asarray(point, dtype=np.float64)
        return float(self.fine * (1 + FILLED * x) / 2), float(self.fine * (1 - FILLED * y) / 2)

    def length(self, distance: float) -> float:
        """Return a distance in pixels of the enlarged surface."""
        return self.fine * FILLED * distance / 2

    def disc(self, colour: Colour, centre: npt.ArrayLike, radius: float) -> None:
        """Draw a filled circle."""
        self.pygame.draw.circle(self.surface, colour, self.pixel(centre), self.length(radius))

    def ring(self, colour: Colour, centre: npt.ArrayLike, radius: float, width: float) -> None:
        """Draw a circle's line, inside the radius."""
        pixels = max(1, round(self.length(width)))
        self.pygame.draw.circle(self.surface, colour, self.pixel(centre), self.length(radius), pixels)

    def rod(self, colour: Colour, start: Any, end: Any, start_width: float, end_width: float) -> None:
        """Draw a tapering line with round ends."""
        along = end - start
        across = np.array([-along[1], along[0]]) / max(float(np.hypot(*along)), 1e-12) / 2
        corners = [start + start_width * across, end + end_width * across]
        corners += [end - end_width * across, start - start_width * across]
        self.pygame.draw.polygon(self.surface, colour, [self.pixel(corner) for corner in corners])
        self.disc(colour, start, start_width / 2)
        self.disc(colour, end, end_width / 2)

    def reduced(self) -> npt.NDArray[np.uint8]:
        """Return the image, [SIZE, SIZE, 3]."""
        small = self.pygame.transform.smoothscale(self.surface, (SIZE, SIZE))
        return np.ascontiguousarray(self.pygame.surfarray.array3d(small).swapaxes(0, 1))


def draw(
    joints: npt.NDArray[np.float64], target: npt.ArrayLike, reach: float, nearest: float, farthest: float
) -> npt.NDArray[np.uint8]:
    """Return the image of an arm: joints [n + 1, 2] from base to tip, target [2], and the targets' ring, in metres."""
    sheet = Sheet(import_pygame())
    origin = (0.0, 0.0)
    sheet.disc(REACHED, origin, 1.0)
    sheet.disc(TARGETS, origin, farthest / reach)
    sheet.disc(REACHED, origin, nearest / reach)
    sheet.ring(EDGE, origin, 1.0, EDGE_LINE)
    draw_arm(sheet, joints / reach)
    ring, eye = TARGET_RADII
    goal = np.asarray(target, dtype=np.float64) / reach
    sheet.ring(TARGET, goal, ring, TARGET_LINE)
    sheet.disc(TARGET, goal, eye)
    return sheet.reduced()


def draw_arm(sheet: Sheet, joints: npt.NDArray[np.float64]) -> None:
    """Draw links from the tip inwards, so that inner ones lie on top, each with the joint at its end; the tip last."""
    count = len(joints) - 1
    widths = np.linspace(*LINK_WIDTHS, count + 1)
    for k in range(count - 1, -1, -1):
        start, end, start_width, end_width = joints[k], joints[k + 1], widths[k], widths[k + 1]
        sheet.rod(PAPER, start, end, start_width + OUTLINE, end_width + OUTLINE)
        sheet.rod(blend(INNER_LINK, OUTER_LINK, k / max(count - 1, 1)), start, end, start_width, end_width)
        sheet.disc(JOINT, end, JOINT_SIZE * end_width / 2)
    sheet.disc(BASE, joints[0], BASE_RADIUS)
    sheet.disc(JOINT, joints[0], JOINT_SIZE * widths[0] / 2)
    sheet.disc(PAPER, joints[-1], TIP_RADIUS + OUTLINE / 2)
    sheet.disc(TIP, joints[-1], TIP_RADIUS)


def blend(first: Colour, second: Colour, share: float) -> Colour:
    """Return a colour between two."""
    red, green, blue = (round(a + share * (b - a)) for a, b in zip(first, second, strict=True))
    return red, green, blue


def import_pygame() -> Any:
    """Import pygame without the greeting that it prints."""
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    try:
        import pygame
    except ImportError as error:
        raise EnvError(f"drawing needs pygame, which comes with gymnasium[classic-control]: {error}") from error
    return pygame
