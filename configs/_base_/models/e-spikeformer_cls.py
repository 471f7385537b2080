# E-SpikeFormer with its published readout: integer neurons of D = 4 levels, which hand on S / D everywhere (the backbone's
# default) but before the classifier.
model = dict(
    type='ImageClassifier',
    backbone=dict(type='spikevision.ESpikeFormer', time_steps=1),
    head=dict(
        type='spikevision.SpikingClsHead',
        num_classes=1000,
        in_channels=360,
        neuron=dict(type='spikevision.IntegerLIF', levels=4),
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original')))
