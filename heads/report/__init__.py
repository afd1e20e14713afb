"""One self-contained page. Rows are dataclasses (`rows`), wording is `text`, figures are below.

data         What a report is made of, checked: everything that the page shows, as plain values and arrays.
galleries    The report's pictures: mistakes, labels to check, images unlike all others, and near copies.
nested_text  How a nested score is told: what it is a number of, and what won without each outer fold.
number_page  One self-contained HTML page about heads that predict a number: what won, how well, and where it errs.
page         One self-contained HTML page about an experiment: what won, how well, where it errs, and what was run.
table        The report's table of candidates: which rows it opens with, and where their intervals are drawn.
text         The report's wording: how scores, intervals, candidates and the headline are written.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
