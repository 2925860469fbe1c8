"""Heights in px of TIFFs that take their time."""

SLOW_PX, GATED_PX = 16, 17
