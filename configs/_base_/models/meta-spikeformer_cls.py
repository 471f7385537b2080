# Meta-SpikeFormer with its published readout (neuron, linear classifier, mean over time).
model = dict(
    type='ImageClassifier',
    backbone=dict(type='spikevision.MetaSpikeFormer', time_steps=4),
    head=dict(
        type='spikevision.SpikingClsHead',
        num_classes=1000,
        in_channels=640,
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original')))
