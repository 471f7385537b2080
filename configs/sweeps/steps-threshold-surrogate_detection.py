# Time steps x threshold x surrogate for detection. All numbers are ours.
_base_ = ['./steps-threshold-surrogate_classification.py']
