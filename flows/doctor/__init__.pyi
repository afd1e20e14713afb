from .diagnosis import diagnose as diagnose
from .finding import Finding as Finding
