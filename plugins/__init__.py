"""densezip inside other libraries: one module for each, which imports that library and nothing of the others.

`pillow` (`Image.open`, `save`), `imageio` (version 3), `numcodecs` and `zarr` (chunks of arrays), `dicom` (pydicom).
Each registers itself when it is imported; numcodecs and zarr find theirs by entry points.
"""
