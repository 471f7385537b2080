# A small Meta-SpikeFormer on 5,000 real digits: the main job in minutes on two CPU cores. All numbers are ours.
_base_ = [
    '../_base_/models/meta-spikeformer_cls.py',
    '../_base_/datasets/mnist-5k_bs32_32.py',
    'mmpretrain::_base_/default_runtime.py',
]
model = dict(
    backbone=dict(
        # one head, since 2x2 tokens with narrow heads never reach the threshold of the attention neuron
        arch=dict(embed_dims=(16, 32, 64, 96), num_heads=1, depths=(1, 1)),
        time_steps=4,
        # From scratch in 1,875 iterations: at the published threshold of 1 the attention is silent at first, and the
        # normalisations behind a silent map amplify gradients. Half of it, and a wider surrogate, learn at once.
        neuron=dict(type='LIF', v_threshold=0.5, surrogate='atan')),
    head=dict(
        num_classes=10,
        in_channels=96,
        neuron=dict(type='LIF', v_threshold=0.5, surrogate='atan')))

optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=4e-3, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=True, begin=0, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', T_max=14, by_epoch=True, begin=1, end=15, convert_to_iter_based=True),
]
train_cfg = dict(by_epoch=True, max_epochs=15, val_interval=5)
val_cfg = dict()
test_cfg = dict()

default_hooks = dict(
    logger=dict(interval=25),
    checkpoint=dict(interval=5, max_keep_ckpts=2))
env_cfg = dict(dist_cfg=dict(backend='gloo'))  # runs without a GPU
randomness = dict(seed=0)
