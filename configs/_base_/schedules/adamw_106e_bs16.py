# Spikformer: AdamW, lr 0.001, weight decay 0.06, 10 warm-up epochs from 1e-05, cosine to 1e-05 until epoch 96, 10 more at that
# rate, fp16. Paper: Zhou et al., arXiv:2209.15425.
optim_wrapper = dict(
    type='AmpOptimWrapper',
    optimizer=dict(type='AdamW', lr=0.001, weight_decay=0.06),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-05 / 0.001, by_epoch=True, begin=0, end=10),
    dict(
        type='CosineAnnealingLR',
        T_max=86,
        eta_min=1e-05,
        by_epoch=True,
        begin=10,
        end=96),
]
train_cfg = dict(by_epoch=True, max_epochs=106, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=16)
