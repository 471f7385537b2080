# Converts mmpretrain's swin-tiny with its published checkpoint: `spikevision convert THIS CHECKPOINT -o OUT`; needs ImageNet.
_base_ = ['mmpretrain::swin_transformer/swin-tiny_16xb64_in1k.py']

# 128 training images are enough for thresholds by quantile
conversion = dict(preset='ecmt', time_steps=8, calibration_images=128, batch_size=16)
