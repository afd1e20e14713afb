"""One self-contained HTML page about a fit, from plain values and arrays.

classes      Scores, curves and right answers of each class.
cluster_page Page about groups of images, with their pictures.
data         Values that a page shows, checked.
exhibits     Images, labels, probabilities and curves that a page shows, as rows.
galleries    Pictures of mistakes, labels to check, outliers and near copies.
nested_text  Wording and table of a nested score.
number_page  Page about heads that predict a number.
page         Page about heads that tell classes apart.
picture_page Page of pictures with captions, some at a time.
rendering    Template filled in.
rows         Candidates and scores that a fit found, as rows.
table        Table of candidates: which rows it opens with, and their drawn intervals.
tail_page    Page about a fine-tuned tail, beside the linear heads.
text         Wording of scores, intervals, candidates and the headline.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
