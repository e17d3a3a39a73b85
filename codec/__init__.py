"""The codec layer: probabilities and bytes, no network and no training."""
