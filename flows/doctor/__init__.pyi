from .diagnosis import Diagnosis as Diagnosis
from .diagnosis import doctor as doctor
from .finding import Finding as Finding
