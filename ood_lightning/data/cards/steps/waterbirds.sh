curl -L -C - -o raw/waterbirds.tar.gz https://nlp.stanford.edu/data/dro/waterbird_complete95_forest2water2.tar.gz
tar -xzf raw/waterbirds.tar.gz -C raw
printf 'landbirds\nwaterbirds\n' > raw/waterbirds_names.txt # label 1 is a waterbird in the authors' script
