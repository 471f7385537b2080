_base_ = [
    '../_base_/models/detection_mask-rcnn_meta-spikeformer-15m.py',
    '../_base_/datasets/detection_coco-instance-multiscale.py',
    '../_base_/schedules/detection_adamw-12e.py',
    'mmdet::_base_/default_runtime.py',
]
