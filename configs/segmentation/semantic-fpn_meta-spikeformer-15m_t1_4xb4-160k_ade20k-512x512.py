_base_ = [
    '../_base_/models/segmentation_semantic-fpn_meta-spikeformer-15m.py',
    'mmseg::_base_/datasets/ade20k.py',
    'mmseg::_base_/default_runtime.py',
    '../_base_/schedules/segmentation_adamw-160k.py',
]
