"""Evidence beside a winner's score: the analysis of its images, and the page.

analysis       Analysis for a person: calibration, suspects, outliers, near copies, few-shot curve.
aside          Longest computations of a report, made while other things are done.
command        Command line that makes a fit again.
doubt          Sets and outliers of a winner, calibrated and measured.
exhibits       Pictures that a report shows: mistakes, right answers, doubtful labels, the map.
explanation    Order of the steps from a concluded fit to its report.
few_shot_file  File `few_shot.csv` of accuracy against images per class.
labelling      Labels that a page takes, and what its table holds.
map            Map of a report: its images, and their places.
number_report  Ingredients of the report of a fit that predicts numbers.
out_of_fold    Predictions of the winner for its own images, each by a fit without it.
report         Ingredients of the report of a fit that tells classes apart.
suspects_file  File `suspects.csv` of labels that look wrong, to work through.
thumbnails     Small pictures of images that can still be read.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
