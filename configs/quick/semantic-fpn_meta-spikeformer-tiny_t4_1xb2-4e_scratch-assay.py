_base_ = [
    '../_base_/models/segmentation_semantic-fpn_meta-spikeformer-tiny.py',
    '../_base_/datasets/segmentation_scratch-assay.py',
    '../_base_/schedules/segmentation_adamw-quick.py',
]
