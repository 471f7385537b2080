# A small Spikformer on all of Fashion-MNIST, within two hours on two CPU cores. All numbers are ours.
_base_ = [
    '../_base_/models/spikformer_cls.py',
    '../_base_/datasets/fashion-mnist_bs64_32.py',
    '../_base_/schedules/quick_adamw-6e.py',
    'mmpretrain::_base_/default_runtime.py',
]
neuron = dict(type='LIF', v_threshold=0.5, surrogate='atan')  # why: README.md, small networks from scratch
model = dict(
    backbone=dict(
        # a pool behind each stem convolution keeps the cost of a 32x32 picture down; 2x2 tokens stay, so one head
        arch=dict(embed_dims=128, depth=1, num_heads=1),
        in_channels=1,
        time_steps=4,
        neuron=neuron),
    head=dict(num_classes=10, in_channels=128))

default_hooks = dict(logger=dict(interval=50), checkpoint=dict(interval=1, max_keep_ckpts=2))
env_cfg = dict(dist_cfg=dict(backend='gloo'))  # runs without a GPU
randomness = dict(seed=0)
