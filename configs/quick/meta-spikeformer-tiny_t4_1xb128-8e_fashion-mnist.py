# The small Meta-SpikeFormer goes on at T=4: set init_from=RUN to the run folder of its training at T=1. All numbers are ours.
_base_ = './meta-spikeformer-tiny_t1_1xb128-12e_fashion-mnist.py'
model = dict(backbone=dict(time_steps=4))
optim_wrapper = dict(optimizer=dict(lr=2e-3))  # two thirds of the rate from scratch
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(type='CosineAnnealingLR', T_max=8, by_epoch=True, begin=0, end=8, convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=8)
