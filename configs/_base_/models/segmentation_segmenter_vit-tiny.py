# Segmenter on a tiny vision transformer, 3 classes: an ordinary network, to be trained and then converted into a spiking
# one. Paper: Strudel et al., arXiv:2105.05633. All numbers are ours.
_base_ = ['mmseg::_base_/models/segmenter_vit-b16_mask.py']

data_preprocessor = dict(size=(192, 192))
model = dict(
    pretrained=None,
    data_preprocessor=data_preprocessor,
    backbone=dict(
        img_size=(192, 192),
        patch_size=8,
        embed_dims=96,
        num_layers=4,
        num_heads=3,
        drop_path_rate=0.0),
    decode_head=dict(
        in_channels=96, channels=96, embed_dims=96, num_classes=3, num_layers=1, num_heads=3),
    test_cfg=dict(_delete_=True, mode='whole'))
# a label beyond the classes stops with the name of its file; stock mmseg drops it from the metric in silence
custom_hooks = [dict(type='spikevision.SegmentationLabelHook')]
