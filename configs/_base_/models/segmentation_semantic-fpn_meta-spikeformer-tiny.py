# Semantic-FPN on a tiny Meta-SpikeFormer, 3 classes. All numbers are ours.
_base_ = ['./segmentation_semantic-fpn_meta-spikeformer-15m.py']

neuron = dict(type='spikevision.LIF', v_threshold=0.5, surrogate='atan')  # from scratch, see configs/quick/README.md
data_preprocessor = dict(size=(192, 192))
model = dict(
    data_preprocessor=data_preprocessor,
    backbone=dict(
        arch=dict(_delete_=True, embed_dims=(16, 32, 48, 64), num_heads=1, depths=(1, 1)),
        time_steps=4,
        out_indices=(1, 2, 4),  # true strides 4, 8, 16: stride 2 would double the time of a step
        neuron=neuron),
    neck=dict(in_channels=[16, 32, 64], out_channels=32, num_outs=3, norm_cfg=dict(type='BN'), neuron=neuron),
    decode_head=dict(
        in_channels=[32, 32, 32],
        in_index=[0, 1, 2],
        feature_strides=[4, 8, 16],
        channels=32,
        num_classes=3,
        neuron=neuron))
