#!/bin/sh
# Every GPU test and GPU benchmark in under eight minutes, as one table: benchmarks/gpu.sh, from a clone, on a machine
# with a GPU. It takes Python 3.11 with torch, torchvision, h5py and scikit-learn, and neither an installation nor a
# network. HEADSTART_DATA may name a folder with data/hymenoptera; else the photographs are made up. PYTHON says which
# Python, HEADSTART_GPU_DEVICE or --device another device: cpu tries the script itself, at tiny sizes.
# Exit status: 0, or 1 where a part failed, or 2 without a CUDA device.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3}
export PYTHONPATH="$here:$here/tests:$here/benchmarks${PYTHONPATH:+:$PYTHONPATH}"
"$python" -c 'import lazy_loader' 2>/dev/null || export PYTHONPATH="$PYTHONPATH:$here/benchmarks/without"
exec "$python" "$here/benchmarks/bench_gpu.py" "$@"
