# Converts mmpretrain's deit-base with its published checkpoint: `spikevision convert THIS CHECKPOINT -o OUT`; needs ImageNet.
_base_ = ['mmpretrain::deit/deit-base_16xb64_in1k.py']

# 300 training images as in the paper (STA, ICLR 2024)
conversion = dict(preset='sta', time_steps=32, calibration_images=300, batch_size=16)
