# CLIP's cleaned names, for class folders that are synsets; --class_names takes lines FOLDER<TAB>NAME
python - <<'END' > raw/imagenet_names.txt
from open_clip import IMAGENET_CLASSNAMES
from timm.data import ImageNetInfo

for folder, name in zip(ImageNetInfo("imagenet-1k").label_names(), IMAGENET_CLASSNAMES, strict=True):
    print(f"{folder}\t{name}")
END
cut -f2 raw/imagenet_names.txt > raw/imagenet_words.txt # for labels that are numbers
