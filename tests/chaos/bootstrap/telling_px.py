"""Heights in px of TIFFs that take their time, or their decoder's life."""

SLOW_PX, GATED_PX, DEADLY_PX = 16, 17, 18
