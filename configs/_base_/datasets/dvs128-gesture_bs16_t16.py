# DVS128 Gesture from its original recordings and tables, as 16 frames of equal numbers of events, 128x128.
# Its own split by users. No flip: it would make a left hand wave of a right hand wave.
time_steps = 16
# counts of events: no normalisation, no colours to swap
data_preprocessor = dict(num_classes=11, mean=None, std=None, to_rgb=False)

load = dict(
    type='spikevision.LoadEventRecording', time_steps=time_steps, sensor=(128, 128), cache='data/.cache/dvs128-gesture')
train_pipeline = [
    load,
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
    dataset=dict(type='spikevision.DVS128Gesture', data_root='data/DvsGesture', split='train', pipeline=train_pipeline),
    sampler=dict(type='DefaultSampler', shuffle=True))
val_dataloader = dict(
    batch_size=16,
    num_workers=4,
    dataset=dict(type='spikevision.DVS128Gesture', data_root='data/DvsGesture', split='test', pipeline=test_pipeline),
    sampler=dict(type='DefaultSampler', shuffle=False))
val_evaluator = dict(type='Accuracy', topk=(1, 5))
test_dataloader = val_dataloader
test_evaluator = val_evaluator
