"""Pictures that were JPEG files: their coefficients found again from the pixels.

Begin with `undo.py` (pixels to coefficients). `traces.py` says whether it is worth trying, `steps.py` finds the steps
of quantization, `search.py` what is not found by rounding (in search.kernels.c); `decoder.py` is the exact decoder (in
decode.kernels.c). Imports of other rooms only `..jpeg` and `...native`.
"""
