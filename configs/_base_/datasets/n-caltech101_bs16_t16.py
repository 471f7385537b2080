# N-Caltech101 from its original recordings (<class>/*.bin), as 16 frames of equal numbers of events.
# train = the first 90 % of each class, test = the rest: there is no official split.
time_steps = 16
# counts of events: no normalisation, no colours to swap
data_preprocessor = dict(num_classes=101, mean=None, std=None, to_rgb=False)

load = dict(
    type='spikevision.LoadEventRecording', time_steps=time_steps, sensor=(240, 180), cache='data/.cache/n-caltech101')
train_pipeline = [
    load,
    dict(type='Resize', scale=(128, 128)),  # from 240x180; a stride of 16 divides the size
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='spikevision.EventAugment'),
    dict(type='spikevision.PackEventFrames'),
]
test_pipeline = [
    load,
    dict(type='Resize', scale=(128, 128)),  # from 240x180; a stride of 16 divides the size
    dict(type='spikevision.PackEventFrames'),
]
train_dataloader = dict(
    batch_size=16,
    num_workers=4,
    dataset=dict(type='spikevision.NCaltech101', data_root='data/Caltech101', split='train', pipeline=train_pipeline),
    sampler=dict(type='DefaultSampler', shuffle=True))
val_dataloader = dict(
    batch_size=16,
    num_workers=4,
    dataset=dict(type='spikevision.NCaltech101', data_root='data/Caltech101', split='test', pipeline=test_pipeline),
    sampler=dict(type='DefaultSampler', shuffle=False))
val_evaluator = dict(type='Accuracy', topk=(1, 5))
test_dataloader = val_dataloader
test_evaluator = val_evaluator
