"""JPEG files taken apart into coefficients and everything else, and put together again, byte for byte.

`frame.py` follows the markers, `scans.py` reads and writes entropy-coded bytes (in scanread.c and scanwrite.c), and
`apart.py`, where to begin reading, does both for a file and the images inside it. Imports nothing of the other rooms.
"""
