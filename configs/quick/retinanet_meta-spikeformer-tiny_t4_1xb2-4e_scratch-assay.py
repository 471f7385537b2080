_base_ = [
    '../_base_/models/detection_retinanet_meta-spikeformer-tiny.py',
    '../_base_/datasets/detection_scratch-assay.py',
    '../_base_/schedules/detection_adamw-quick.py',
]
val_evaluator = dict(metric='bbox')  # RetinaNet gives no masks
test_evaluator = val_evaluator
