# RetinaNet on a tiny Meta-SpikeFormer for small objects: 2 categories, boxes of 8 to 80 pixels. All numbers are ours.
_base_ = ['./detection_retinanet_meta-spikeformer-15m.py']

neuron = dict(type='spikevision.LIF', v_threshold=0.5, surrogate='atan')  # from scratch, see configs/quick/README.md
model = dict(
    backbone=dict(
        arch=dict(_delete_=True, embed_dims=(16, 32, 48, 64), num_heads=1, depths=(1, 1)),
        time_steps=4,
        out_indices=(1, 2, 4),  # strides 4, 8, 16
        neuron=neuron),
    neck=dict(in_channels=[16, 32, 64], out_channels=32, num_outs=3, norm_cfg=dict(type='BN'), neuron=neuron),
    bbox_head=dict(
        num_classes=2,
        in_channels=32,
        stacked_convs=1,
        feat_channels=32,
        norm_cfg=dict(type='GN', num_groups=8),  # shared by all levels: a norm without running statistics
        neuron=neuron,
        anchor_generator=dict(strides=[4, 8, 16], base_sizes=[2.5, 5, 10])))  # anchors of 10 to 63 pixels
