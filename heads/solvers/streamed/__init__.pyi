from .data import StreamedData as StreamedData
from .data import gather as gather
