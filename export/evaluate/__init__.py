"""How good a bundle is on labelled clips or crops it never saw, in figures with intervals."""

from export.evaluate.card_figures import recorded
from export.evaluate.figures import Figures, Group
from export.evaluate.records import AS_IS, PLAIN, Condition, Judged
from export.evaluate.scans import Film, decide, judge_clips, judge_crops
from export.evaluate.scores import read_scores, write_scores
from export.evaluate.summary import figures
from export.metrics import weighted_auc

__all__ = [
    "AS_IS",
    "PLAIN",
    "Condition",
    "Figures",
    "Film",
    "Group",
    "Judged",
    "decide",
    "figures",
    "judge_clips",
    "judge_crops",
    "read_scores",
    "recorded",
    "weighted_auc",
    "write_scores",
]
