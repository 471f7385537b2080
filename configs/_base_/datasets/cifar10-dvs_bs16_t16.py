# CIFAR10-DVS as 16 frames per recording, split by number of events, 128x128. Frames are read from class folders of
# .npz files (key `frames`, [T, 2, H, W]): train = the first 90 % of each class, test = the rest, as in the paper.
dataset_type = 'spikevision.EventFrameFolder'
time_steps = 16
# counts of events: no normalisation, no colours to swap
data_preprocessor = dict(num_classes=10, mean=None, std=None, to_rgb=False)

train_pipeline = [
    dict(type='spikevision.LoadEventFrames', time_steps=time_steps),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='spikevision.PackEventFrames'),
]
test_pipeline = [
    dict(type='spikevision.LoadEventFrames', time_steps=time_steps),
    dict(type='spikevision.PackEventFrames'),
]
train_dataloader = dict(
    batch_size=16,
    num_workers=4,
    dataset=dict(
        type=dataset_type, data_root='data/cifar10-dvs', data_prefix='train', pipeline=train_pipeline),
    sampler=dict(type='DefaultSampler', shuffle=True))
val_dataloader = dict(
    batch_size=16,
    num_workers=4,
    dataset=dict(
        type=dataset_type, data_root='data/cifar10-dvs', data_prefix='test', pipeline=test_pipeline),
    sampler=dict(type='DefaultSampler', shuffle=False))
val_evaluator = dict(type='Accuracy', topk=(1, 5))
test_dataloader = val_dataloader
test_evaluator = val_evaluator
