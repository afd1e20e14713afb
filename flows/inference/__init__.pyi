from .options import PredictKeywords as PredictKeywords
from .options import PredictOptions as PredictOptions
from .prediction import check_out as check_out
from .prediction import predict as predict
from .prediction import write_predictions as write_predictions
