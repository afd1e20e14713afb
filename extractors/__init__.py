"""Images → embeddings → the HDF5 cache: knows torch and torchvision; knows no head, no Prefect, no Dask."""
