_base_ = [
    '../_base_/models/detection_retinanet_meta-spikeformer-15m.py',
    '../_base_/datasets/detection_coco-multiscale.py',
    '../_base_/schedules/detection_adamw-12e.py',
    'mmdet::_base_/default_runtime.py',
]
# focal loss over all anchors of five levels: gradients of the first iterations are clipped, as RetinaNet's users do
optim_wrapper = dict(clip_grad=dict(max_norm=35, norm_type=2))
