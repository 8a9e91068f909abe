curl -L -C - -o raw/dtd.tar.gz https://www.robots.ox.ac.uk/~vgg/data/dtd/download/dtd-r1.0.1.tar.gz
echo 'fff73e5086ae6bdbea199a49dfb8a4c1  raw/dtd.tar.gz' | md5sum -c # as torchvision has it
tar -xzf raw/dtd.tar.gz -C raw
