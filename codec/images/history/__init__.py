"""Pictures that were JPEG files: their coefficients found again from the pixels.

Begin with `undo.py` (pixels to coefficients). `traces.py` says whether it is worth trying; `colours.py` finds luma and
chroma that give the pixels, `steps.py` the steps of quantization, `search.py` coarse chroma (in chroma.kernels.c) and
coefficients (in fit.kernels.c), those of one `component.py` at a time; `decoder.py` is the exact decoder (in
decode.kernels.c). Imports of other rooms only `..jpeg` and `...native`.
"""
