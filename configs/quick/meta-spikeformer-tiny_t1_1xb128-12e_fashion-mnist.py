# A small Meta-SpikeFormer on all of Fashion-MNIST: first at T=1, where an epoch costs a third. All numbers are ours.
_base_ = [
    '../_base_/models/meta-spikeformer_cls.py',
    '../_base_/datasets/fashion-mnist_bs128_32.py',
    '../_base_/schedules/quick_adamw-12e.py',
    'mmpretrain::_base_/default_runtime.py',
]
# why: README.md, small networks from scratch; memory is no concern here, and without packing a step takes less time
neuron = dict(type='LIF', v_threshold=0.5, surrogate='atan', spike_packing=False)
model = dict(
    backbone=dict(
        arch=dict(embed_dims=(16, 32, 64, 96), num_heads=1, depths=(1, 1)),
        in_channels=1,
        time_steps=1,
        neuron=neuron),
    head=dict(num_classes=10, in_channels=96, neuron=neuron))

default_hooks = dict(logger=dict(interval=50), checkpoint=dict(interval=1, max_keep_ckpts=2))
env_cfg = dict(dist_cfg=dict(backend='gloo'))  # runs without a GPU
randomness = dict(seed=0)
