"""Training of the models in the registry: data, recipe, loop, loss curve.

Begin with `loop.py`. A recipe (`recipe.py`) is one of `../presets`, or a file like it; `data.py` finds and splits
images, which `archives.py` reads and `leaves.py` draws; `curve.py` keeps the losses. `adversary.py` is the side of whom
a model is trained against. The photo model is trained by its own room.

Imports: the rest of this room, `..registry`, `..checkpoint`, `..shipped`, `...codec`.
"""

__all__: list[str] = []
