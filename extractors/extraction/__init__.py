"""One backbone over one listing: missing rows, the hot loop, shards, here or on a worker.

engine          The hot loop: images are read and decoded ahead, and the backbone embeds them batch by batch.
extraction      One backbone over one listing: which rows the cache lacks, in which shards, and the work of one shard.
known_requests  What was asked of a cache before, and the key that it led to: a rerun with nothing new needs no network,
                nor torch.
missing_rows    The rows of a listing that a key still lacks, cut into shards, and the right to write them.
shard_request   What is sent to a worker on another machine, and what it answers: names, paths, keys and digests, never
                an array.
shard_result    What comes of the images of a shard: rows to seal, and reasons for those that give none.
shard_work      What a worker on any machine does of an extraction: settle the key, prepare the forward pass, embed one
                shard.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
