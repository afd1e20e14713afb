from .analysis import Evidence as Evidence
from .explanation import explain as explain
from .out_of_fold import OutOfFold as OutOfFold
from .out_of_fold import predict_out_of_fold as predict_out_of_fold
from .thumbnails import read_thumbnails as read_thumbnails
