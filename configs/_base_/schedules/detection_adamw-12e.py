# 12 epochs of AdamW, steps at 8 and 11, as published for Spike-driven Transformer (its detection code).
_base_ = ['mmdet::_base_/schedules/schedule_1x.py']

optim_wrapper = dict(
    _delete_=True,  # SGD's settings go
    type='OptimWrapper',  # mixed precision: --cfg-options optim_wrapper.type=AmpOptimWrapper
    optimizer=dict(type='AdamW', lr=2e-4, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0.0))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=1000),
    dict(type='MultiStepLR', begin=0, end=12, by_epoch=True, milestones=[8, 11], gamma=0.1),
]
# the learning rate belongs to 8 GPUs with 2 images each; --cfg-options auto_scale_lr.enable=True scales it to yours
auto_scale_lr = dict(enable=False, base_batch_size=16)
