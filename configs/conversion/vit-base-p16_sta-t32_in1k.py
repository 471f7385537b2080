# Converts mmpretrain's vit-base-p16 with its published checkpoint: `spikevision convert THIS CHECKPOINT -o OUT`; needs ImageNet.
_base_ = ['mmpretrain::vision_transformer/vit-base-p16_64xb64_in1k-384px.py']

# 300 training images as in the paper (STA, ICLR 2024)
conversion = dict(preset='sta', time_steps=32, calibration_images=300, batch_size=16)
