curl -L -C - -o raw/NINCO_all.tar.gz https://zenodo.org/record/8013288/files/NINCO_all.tar.gz
tar -xzf raw/NINCO_all.tar.gz -C raw
