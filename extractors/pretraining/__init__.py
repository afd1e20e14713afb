"""Encoders that are learned from a user's own images, where no published weights fit.

checkpoints  Training so far in one file, replaced as a whole.
decoders     Networks behind an encoder that paint images; thrown away.
distortion   Distortions of a batch of images that leave them what they are.
encoder      Backbone without classifier and weights, to be trained; its weights as a file.
recipe       Recipe of learning without labels, as plain values.
supervised   Small encoder trained on a source task with labels, and saved.
tasks        Tasks that images set by themselves: turns, hidden patches, noise.
training     Training on such a task, step by step.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
