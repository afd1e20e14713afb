from .supervised import pretrain_small_cnn as pretrain_small_cnn
from .supervised import save_encoder as save_encoder
