"""The model of the coefficients of JPEG files.

`engine.py` is the compiled model seen from Python, `coefficients.kernels.c` the model itself, of `mixing.h` and
`predict.h`; `taps.py` has the recipe of the numbers that it came with. Imports `codec` only.
"""
