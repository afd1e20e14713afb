"""Images → embeddings → the HDF5 cache: knows torch and torchvision; knows no head, no Prefect, no Dask.

Modules are imported by name (`from extractors.cache import EmbeddingCache`), so that reading a cache never loads torch.
"""
