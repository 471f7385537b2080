_base_ = [
    '../_base_/models/detection_cascade-mask-rcnn_meta-spikeformer-15m.py',
    '../_base_/datasets/detection_coco-instance-multiscale.py',
    '../_base_/schedules/detection_adamw-36e.py',
    'mmdet::_base_/default_runtime.py',
]
