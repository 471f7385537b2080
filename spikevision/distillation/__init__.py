"""Distillation: any mm model, spiking or not, learns from a frozen teacher, in all three tasks.

distiller.py     the model that an mm config names: ``spikevision.Distiller`` around a student
teacher.py       a frozen model that answers, without being part of anything that trains
losses.py        what the student learns: hard and soft logits, features, attention maps
recording.py     outputs of modules chosen by name, in any model
cache.py         the teacher's answers on disk
augmentation.py  a few fixed random augmentations per sample, so that answers can be used again
"""

from spikevision.distillation.augmentation import FixedDraws
from spikevision.distillation.distiller import Distiller
from spikevision.distillation.losses import AttentionMaps, Features, HardLogits, SoftLogits

__all__ = ["AttentionMaps", "Distiller", "Features", "FixedDraws", "HardLogits", "SoftLogits"]
