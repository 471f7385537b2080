# All numbers are ours.
_base_ = [
    '../_base_/models/segmentation_segmenter_vit-tiny.py',
    '../_base_/datasets/segmentation_scratch-assay.py',
    '../_base_/schedules/segmentation_adamw-quick.py',
]
model = dict(
    # means and deviations of these tiles: oblique light in red and blue, nuclei, few and bright, in green
    data_preprocessor=dict(mean=[135.5, 29.2, 135.5], std=[34.3, 38.8, 34.3]),
    # one pixel in sixteen is of a nucleus: without a weight 100 iterations find none
    decode_head=dict(loss_decode=dict(class_weight=[1.0, 1.0, 5.0])))
# a transformer from scratch learns slowly: a lower rate than that of the spiking networks, and 16 epochs
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', T_max=16, by_epoch=True, begin=0, end=16, convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=16, val_interval=4)
