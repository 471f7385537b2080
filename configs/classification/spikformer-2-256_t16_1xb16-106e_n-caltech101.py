# Spikformer-2-256, 16 frames, N-Caltech101. Network and recipe are those of CIFAR10-DVS in Zhou et al., arXiv:2209.15425.
_base_ = [
    '../_base_/models/spikformer_cls.py',
    '../_base_/datasets/n-caltech101_bs16_t16.py',
    '../_base_/schedules/adamw_106e_bs16.py',
    'mmpretrain::_base_/default_runtime.py',
]
model = dict(
    backbone=dict(variant='event', arch='2-256', time_steps=16),
    head=dict(num_classes=101, in_channels=256),
    train_cfg=dict(augments=dict(type='Mixup', alpha=0.5), probs=0.5))
custom_hooks = [  # mixup ends after epoch 75
    dict(type='SwitchRecipeHook', schedule=[dict(action_epoch=75, batch_augments=None)])
]
