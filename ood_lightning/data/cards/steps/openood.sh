git clone https://github.com/Jingkang50/OpenOOD raw/openood-code
pip install gdown # its script fetches from Google Drive, and passes over a set's folder that a broken try left
mkdir -p raw/openood
