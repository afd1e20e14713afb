from .both_towers import PREFIX as PREFIX
from .image_tower import load_image_tower as load_image_tower
from .text_tower import encode_texts as encode_texts
