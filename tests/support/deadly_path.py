"""A way to fit a whole grid that ends the process it runs in; worker processes import it by name."""

import os


def solve(features, codes, scored, grid, seed):
    os._exit(1)
