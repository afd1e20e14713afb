"""The tail of a network, trained as a head on what the layers before it put out.

checkpoints  Training as far as it has come, as plain arrays.
folding      Linear head as one matrix and one bias, for a network's own classifier.
held_out     Images inside train that choose the epoch, with groups kept whole.
recipe       Values by which a tail is trained, in their ranges.
rows         Rows of cached maps, read a few at a time.
schedules    Learning rates of blocks, and phases of unfreezing.
tail         Tail of a network as an estimator over cached rows.
training     Training of a tail: batches of rows, the best epoch, going on after a kill.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
