# All numbers are ours.
_base_ = [
    '../_base_/models/detection_mask-rcnn_vit-tiny.py',
    '../_base_/datasets/detection_scratch-assay.py',
    '../_base_/schedules/detection_adamw-quick.py',
]
# means and deviations of these tiles: oblique light in red and blue, nuclei, few and bright, in green
model = dict(data_preprocessor=dict(mean=[135.5, 29.2, 135.5], std=[34.3, 38.8, 34.3]))
# a transformer from scratch learns slowly: a lower rate than that of the spiking networks, and 16 epochs
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', T_max=16, by_epoch=True, begin=0, end=16, convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=16, val_interval=4)
