curl -L -C - -o raw/NINCO_all.tar.gz https://zenodo.org/record/8013288/files/NINCO_all.tar.gz
echo 'b9ffae324363cd900a81ce3c367cd834  raw/NINCO_all.tar.gz' | md5sum -c # as pytorch-ood has it
tar -xzf raw/NINCO_all.tar.gz -C raw
