from .execution import Execution as Execution
from .fidelity import LOWEST_COSINE as LOWEST_COSINE
from .fidelity import FidelityRecord as FidelityRecord
from .first_images import FirstImages as FirstImages
from .pixels_seen import settle_pixels as settle_pixels
from .preparation import prepare as prepare
from .shortcuts import settle_dtype as settle_dtype
from .shortcuts import settle_key as settle_key
