# CIFAR10-DVS from its original recordings (<class>/*.aedat), as 16 frames of equal numbers of events, 128x128.
# train = the first 90 % of each class, test = the rest, as in the paper. Frames are kept in the cache.
time_steps = 16
# counts of events: no normalisation, no colours to swap
data_preprocessor = dict(num_classes=10, mean=None, std=None, to_rgb=False)

load = dict(
    type='spikevision.LoadEventRecording', time_steps=time_steps, sensor=(128, 128), cache='data/.cache/cifar10-dvs')
train_pipeline = [
    load,
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='spikevision.EventAugment'),
    dict(type='spikevision.PackEventFrames'),
]
test_pipeline = [
    load,
    dict(type='spikevision.PackEventFrames'),
]
train_dataloader = dict(
    batch_size=16,
    num_workers=4,
    dataset=dict(type='spikevision.CIFAR10DVS', data_root='data/cifar10-dvs', split='train', pipeline=train_pipeline),
    sampler=dict(type='DefaultSampler', shuffle=True))
val_dataloader = dict(
    batch_size=16,
    num_workers=4,
    dataset=dict(type='spikevision.CIFAR10DVS', data_root='data/cifar10-dvs', split='test', pipeline=test_pipeline),
    sampler=dict(type='DefaultSampler', shuffle=False))
val_evaluator = dict(type='Accuracy', topk=(1, 5))
test_dataloader = val_dataloader
test_evaluator = val_evaluator
