"""The rules of images, builds and containers: pure, no clock, no I/O, the standard library only."""
