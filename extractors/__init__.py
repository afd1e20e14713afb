"""Images → embeddings → the HDF5 cache: knows torch and torchvision; knows no head, no Prefect, no Dask.

arrays       Type of any numpy array, which every room may name without loading HDF5.
atomic       Files that are wholly there or not at all, whatever interrupts their writing.
errors       Tree of what can go wrong between an image and its embedding.
memory       Freed memory, kept for the next batch or given back to the system.
results      Results of jobs as people look at them: lines, a table in a notebook, a data frame.
stages       Clock that adds up where the time of an extraction goes.
writer_lock  Lock that lets one process write a key, and that goes with the process.
"""
