# All numbers are ours.
_base_ = [
    '../_base_/models/detection_mask-rcnn_meta-spikeformer-tiny.py',
    '../_base_/datasets/detection_scratch-assay.py',
    '../_base_/schedules/detection_adamw-quick.py',
]
# means and deviations of these tiles: oblique light in red and blue, nuclei, few and bright, in green
model = dict(data_preprocessor=dict(mean=[135.5, 29.2, 135.5], std=[34.3, 38.8, 34.3]))
