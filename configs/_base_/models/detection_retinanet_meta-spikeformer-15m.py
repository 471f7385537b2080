# RetinaNet on Meta-SpikeFormer 15M, 80 classes. mmdet's R-50 model, with these changes:
_base_ = ['mmdet::_base_/models/retinanet_r50_fpn.py']

model = dict(
    type='spikevision.RetinaNet',  # mmdet.RetinaNet, with the strides below checked against backbone and neck
    backbone=dict(
        _delete_=True,
        type='spikevision.MetaSpikeFormer',
        arch='15m',
        time_steps=1,
        out_indices=(2, 3, 4)),  # strides 8, 16 and 16: the last stage does not halve the map
    neck=dict(
        _delete_=True,
        type='spikevision.SpikingFPN',
        in_channels=[128, 256, 360],
        out_channels=256,
        num_outs=5,
        extra_levels='on_input'),  # as in RetinaNet
    bbox_head=dict(
        type='spikevision.SpikingRetinaHead',
        anchor_generator=dict(
            strides=[8, 16, 16, 32, 64],  # the true ones
            base_sizes=[8, 16, 32, 64, 128])))  # anchors of 32 to 813 pixels as usual, whatever the strides
