# 160,000 iterations of AdamW, linear warm-up, linear decay, as published for Spike-driven Transformer V2.
optim_wrapper = dict(
    type='OptimWrapper',  # mixed precision: --cfg-options optim_wrapper.type=AmpOptimWrapper
    optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.999), weight_decay=0.005),
    clip_grad=None,
    # the head starts from nothing, the backbone from ImageNet weights
    paramwise_cfg=dict(custom_keys=dict(decode_head=dict(lr_mult=2.0))))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, begin=0, end=1500, by_epoch=False),
    dict(type='PolyLR', power=1.0, eta_min=0.0, begin=1500, end=160000, by_epoch=False),
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=160000, val_interval=16000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='CheckpointHook', by_epoch=False, interval=16000, max_keep_ckpts=2, save_best='mIoU'),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='SegVisualizationHook'))
# batch statistics over all processes: 4 images each are few for 15 normalisation layers in neck and head
sync_bn = 'torch'
# the learning rate belongs to 4 GPUs with 4 images each; --cfg-options auto_scale_lr.enable=True scales it to yours
auto_scale_lr = dict(enable=False, base_batch_size=16)
