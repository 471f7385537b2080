# Spikformer-8-512, T=4, ImageNet-1K. Numbers: Zhou et al., arXiv:2209.15425.
_base_ = [
    '../_base_/models/spikformer_cls.py',
    '../_base_/datasets/imagenet_bs24_spikformer_224.py',
    '../_base_/schedules/adamw_310e_bs192.py',
    'mmpretrain::_base_/default_runtime.py',
]
model = dict(
    backbone=dict(arch='8-512'),
    head=dict(in_channels=512),
    train_cfg=dict(augments=[  # mixup 0.8 and cutmix 1.0, one of them per batch
        dict(type='Mixup', alpha=0.8),
        dict(type='CutMix', alpha=1.0),
    ]))
