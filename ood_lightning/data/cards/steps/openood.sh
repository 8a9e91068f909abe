git clone https://github.com/Jingkang50/OpenOOD raw/openood-code
pip install gdown # its script fetches from Google Drive
mkdir -p raw/openood
