curl -L -C - -o raw/CUB_200_2011.tgz https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz
echo '97eceeb196236b17998738112f37df78  raw/CUB_200_2011.tgz' | md5sum -c # as TorchUncertainty has it
tar -xzf raw/CUB_200_2011.tgz -C raw
cut -d' ' -f2 raw/CUB_200_2011/classes.txt |
    awk -F. '{name = $2; gsub("_", " ", name); print $0 "\t" name}' > raw/cub_names.txt
cut -f2 raw/cub_names.txt > raw/cub_words.txt
