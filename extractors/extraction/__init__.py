"""One backbone over one listing: only the missing rows are embedded, here or on a worker.

embedding        Rows of some images, by a recipe.
engine           Hot loop: decoded images in, features of one batch after another out.
extraction       Extraction of one key: its missing rows, its shards, and the sealing of each.
key_description  Description of a key, for people, programs and the memory of requests.
known_requests   Memory of earlier requests and their keys: a rerun needs neither network nor torch.
missing_rows     Rows of a listing that a key lacks, cut into shards, and the right to write them.
shard_request    Message to a worker: names, paths, keys and digests, never an array.
shard_result     Answer of a shard: rows to seal, and reasons for images that give none.
shard_work       Steps of a worker: settle the key, prepare the forward pass, embed one shard.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
