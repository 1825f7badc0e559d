//! The rounds of progressive distillation.

use std::error::Error;

use ddm_core::prelude::*;
use ddm_core::schedule::Levels;
use ddm_core::train::ProgressiveDistillation;

/// Halves the steps of a teacher, which starts with `steps`, until one is left: `round` trains the student of
/// each round from the teacher, which is the student of the round before. Returns the students, the one of
/// one step last.
pub(crate) fn halve<N: Clone>(
    teacher: &N,
    schedule: &impl NoiseSchedule,
    steps: usize,
    mut round: impl FnMut(&ProgressiveDistillation<VPrediction>, &N) -> Result<N, Box<dyn Error>>,
) -> Result<Vec<(Levels, N)>, Box<dyn Error>> {
    let (mut levels, mut network) = (Trailing.levels(schedule, steps)?, teacher.clone());
    let mut students = Vec::new();
    while levels.steps() > 1 {
        let halving = ProgressiveDistillation::new(levels, VPrediction)?;
        network = round(&halving, &network)?;
        levels = halving.student_levels().clone();
        students.push((levels.clone(), network.clone()));
    }
    Ok(students)
}
