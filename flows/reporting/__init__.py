"""What stands beside a winner's score: the analysis and the page.

analysis       What a person should know beside the score: calibration, labels that look wrong, images that are alike or
               unlike.
explanation    What stands beside a winner's score: what its images and probabilities look like, and the report.
number_report  The report of a fit that predicts numbers: only here do its scores meet the images' paths.
out_of_fold    What the winner says of the images that chose it, each without having been fitted on it.
report         The report's ingredients: only here do scores meet image files, as thumbnails.
suspects_file  The list of labels that look wrong, as a file that a person can work through.
thumbnails     Small pictures of the images of a listing, wherever they can still be read.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
