# Meta-SpikeFormer, T=1 pre-training: LAMB with trust clip, lr 6e-4 x 1024 / 256 = 2.4e-3, weight decay 0.05 (0 on
# vectors), 10 warm-up epochs from 0, cosine to 1e-6, both per iteration, fp16. Paper: Yao et al., arXiv:2404.03663.
optim_wrapper = dict(
    type='AmpOptimWrapper',
    optimizer=dict(
        type='Lamb', lr=2.4e-3, weight_decay=0.05, trust_clip=True,
        max_grad_norm=1e9),  # no gradient clipping; LAMB's default would clip at 1
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=True, begin=0, end=10, convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        T_max=190,
        eta_min=1e-6,
        by_epoch=True,
        begin=10,
        end=200,
        convert_to_iter_based=True),
]
train_cfg = dict(by_epoch=True, max_epochs=200, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=1024)
