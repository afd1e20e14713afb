from .evidence import log_evidence as log_evidence
from .h_score import h_score as h_score
from .quick import QuickScores as QuickScores
from .quick import quick_scores as quick_scores
