# E-SpikeFormer: Meta-SpikeFormer's schedule with lr 6e-4 x 2048 / 256 = 4.8e-3 and 5 warm-up epochs.
# Paper: Yao et al., arXiv:2411.16061, and its authors' published scripts.
_base_ = ['./lamb_200e_bs1024.py']

optim_wrapper = dict(optimizer=dict(lr=4.8e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=True, begin=0, end=5, convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        T_max=195,
        eta_min=1e-6,
        by_epoch=True,
        begin=5,
        end=200,
        convert_to_iter_based=True),
]
auto_scale_lr = dict(base_batch_size=2048)
