_base_ = [
    '../_base_/models/detection_mask-rcnn_meta-spikeformer-tiny.py',
    '../_base_/datasets/detection_scratch-assay.py',
    '../_base_/schedules/detection_adamw-quick.py',
]
