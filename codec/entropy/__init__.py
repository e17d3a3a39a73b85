"""Probabilities to bits and back: integer distributions, messages, and codecs made of codecs.

Begin with `rans.py` (`Message`, a stack of bits over many lanes), then `pmf.py` (distributions as integers) and
`codecs.py` (the algebra of push and pop, bits-back coding). `grid.py`, `localbitsback.py`, `bijections.py` and
`linear.py` are for continuous variables; `calibrated.py` makes the output of a network the same number everywhere;
`neighbours.py` and `padding.py` are what pictures need beside a model; `scalar.py` and `rangecoder.py` code one symbol
at a time.

Imports: the rest of this room, `..errors`, `..fields`. It knows no image and no file.
"""

__all__: list[str] = []
