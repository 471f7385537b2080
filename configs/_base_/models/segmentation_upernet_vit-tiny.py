# UPerNet on a tiny vision transformer, 3 classes: an ordinary network, to be trained and then converted into a spiking
# one. All numbers are ours.
_base_ = ['mmseg::_base_/models/upernet_vit-b16_ln_mln.py']

norm = dict(_delete_=True, type='BN')
data_preprocessor = dict(size=(192, 192))
model = dict(
    pretrained=None,
    data_preprocessor=data_preprocessor,
    backbone=dict(
        img_size=(192, 192), patch_size=8, embed_dims=96, num_layers=4, num_heads=3, out_indices=(1, 3)),
    neck=dict(in_channels=[96, 96], out_channels=64, scales=[2, 1]),  # strides 4 and 8
    decode_head=dict(
        in_channels=[64, 64],
        in_index=[0, 1],
        channels=64,
        dropout_ratio=0.0,
        num_classes=3,
        norm_cfg=norm),
    auxiliary_head=None)
# a label beyond the classes stops with the name of its file; stock mmseg drops it from the metric in silence
custom_hooks = [dict(type='spikevision.SegmentationLabelHook')]
