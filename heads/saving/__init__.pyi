from .card import CARD_FILE as CARD_FILE
from .card import Card as Card
from .card import read_bytes as read_bytes
from .card import read_card as read_card
from .model_file import load_model as load_model
from .model_file import save_model as save_model
from .skops_import import list_no_estimators as list_no_estimators
