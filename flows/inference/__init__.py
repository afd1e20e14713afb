"""The job `predict`: a saved model on new images.

answers     Table of predictions, and its sum in one line.
doubts      Columns of a model that may not know: sets, outliers, labels left empty.
given       Images as people give them: places of any kind, several of them, or pixels at hand.
grafted     Whole network of a saved model, its own classifier in place.
grafting    Saved model as the weights of a stock model or as an ONNX file, its classifier included.
how_to      Markdown beside a file that was taken away: how to use it.
model       Saved model that keeps head and network from one prediction to the next.
network     Frozen network of a model: loaded once, held against the model's key, asked for features.
onnx_file   ONNX file from pixels to probabilities.
options     Options of a prediction, and of taking a model away.
pixels      Images that lie in no file, as encoded files.
prediction  Predictions of one call, written down.
prediction_page  Page of pictures with what was predicted of each.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
