# A small Meta-SpikeFormer on all of Fashion-MNIST, within two hours on two CPU cores. All numbers are ours.
_base_ = [
    '../_base_/models/meta-spikeformer_cls.py',
    '../_base_/datasets/fashion-mnist_bs64_32.py',
    '../_base_/schedules/quick_adamw-6e.py',
    'mmpretrain::_base_/default_runtime.py',
]
neuron = dict(type='LIF', v_threshold=0.5, surrogate='atan')  # why: README.md, small networks from scratch
model = dict(
    backbone=dict(
        arch=dict(embed_dims=(8, 16, 32, 64), num_heads=1, depths=(1, 1)),
        in_channels=1,
        time_steps=4,
        neuron=neuron),
    head=dict(num_classes=10, in_channels=64, neuron=neuron))

default_hooks = dict(logger=dict(interval=50), checkpoint=dict(interval=1, max_keep_ckpts=2))
env_cfg = dict(dist_cfg=dict(backend='gloo'))  # runs without a GPU
randomness = dict(seed=0)
