# after registration: ILSVRC2012_img_val.tar and ILSVRC2012_devkit_t12.tar.gz into raw/imagenet
python -c "from torchvision.datasets import ImageNet; ImageNet('raw/imagenet', 'val')" # needs scipy
