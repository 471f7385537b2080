# Spikformer with its published readout (real-valued mean over space and time, linear classifier).
model = dict(
    type='ImageClassifier',
    backbone=dict(type='spikevision.Spikformer', variant='imagenet', time_steps=4),
    head=dict(
        type='spikevision.SpikingClsHead',
        num_classes=1000,
        in_channels=512,
        spiking=False,
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original')))
