"""What every cache must satisfy, whoever filled it and however often he was interrupted."""

import hashlib

import h5py
import numpy as np

from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.images.reading import image_sources, read_bytes
from headstart.extractors.listing.cache_listing import read_listing


def check_cache(cache: EmbeddingCache, *, complete: bool = True) -> None:
    """State the contract: digests are true, no row is stored twice, every shard is sealed, whole and plain HDF5."""
    listing = read_listing(cache)
    usable = listing.usable
    for source, digest in zip(image_sources(usable), usable["digest"], strict=True):
        assert hashlib.sha256(read_bytes(listing.root, source)).hexdigest() == digest, source.path
    assert (listing.quarantined["reason"] != "").all()
    assert not list(cache.path.rglob("*.part"))
    for store in cache.stores():
        assert store.path.name == store.key.id
        assert store.damaged() == {}
        stored: list[bytes] = []
        for shard in store.shards():
            with h5py.File(shard, "r") as file:
                digests = file["digest"][...]
                assert digests.dtype == np.uint8
                assert digests.shape[1] == 32
                stored += [row.tobytes() for row in digests]
                for tap in store.key.taps:
                    features = file[f"features/{tap}"]
                    assert len(features) == len(digests)
                    assert features.dtype == store.key.dtype
                    assert features.chunks is None
                    assert features.id.get_offset() % 4096 == 0
        assert len(stored) == len(set(stored)), "a row was computed twice"
        if complete:
            assert {bytes.fromhex(digest) for digest in usable["digest"]} <= set(stored)
