from .model_file import load_model as load_model
from .model_file import save_model as save_model
