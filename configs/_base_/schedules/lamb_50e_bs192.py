# Meta-SpikeFormer, T=4 fine-tuning from T=1: LAMB, lr 2e-5 x 192 / 256 = 1.5e-5, 5 warm-up epochs, cosine to 1e-6,
# both per iteration. Paper: Yao et al., arXiv:2404.03663.
optim_wrapper = dict(
    type='AmpOptimWrapper',
    optimizer=dict(
        type='Lamb', lr=1.5e-5, weight_decay=0.05, trust_clip=True,
        max_grad_norm=1e9),  # no gradient clipping; LAMB's default would clip at 1
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=True, begin=0, end=5, convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        T_max=45,
        eta_min=1e-6,
        by_epoch=True,
        begin=5,
        end=50,
        convert_to_iter_based=True),
]
train_cfg = dict(by_epoch=True, max_epochs=50, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=192)
