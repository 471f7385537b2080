# Spikformer-4-256, T=4, CIFAR-100. Numbers: Zhou et al., arXiv:2209.15425 (the recipe is stated for CIFAR-10).
_base_ = [
    '../_base_/models/spikformer_cls.py',
    '../_base_/datasets/cifar100_bs128_spikformer.py',
    '../_base_/schedules/adamw_310e_bs128.py',
    'mmpretrain::_base_/default_runtime.py',
]
model = dict(
    backbone=dict(variant='cifar', arch='4-256'),
    head=dict(num_classes=100, in_channels=256),
    train_cfg=dict(augments=dict(type='Mixup', alpha=0.5)))
custom_hooks = [  # mixup ends after epoch 200
    dict(type='SwitchRecipeHook', schedule=[dict(action_epoch=200, batch_augments=None)])
]
