from .evidence import log_evidence as log_evidence
from .quick import QuickScores as QuickScores
from .quick import quick_scores as quick_scores
from .separation import h_score as h_score
