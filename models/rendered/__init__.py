"""The coder of pictures that programs made: gradients, maps in false colours, smooth fields of 16 bits, plots.

May import codec and models/indexed.py, whose tables it shares. Begin with tile.py: what the bytes of a tile are; then
rows.kernels.c.
"""
