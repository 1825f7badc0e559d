//! The step size control of one sample.

/// The limits of the factor by which the step changes.
const SHRINK: f64 = 0.2;
const GROW: f64 = 10.0;
const SAFETY: f64 = 0.9;
/// The PI controller's β, and the exponent of the error that goes with it.
const MEMORY: f64 = 0.04;
const EXPONENT: f64 = 0.2 - 0.75 * MEMORY;
/// The smallest step, as a fraction of the whole way.
const LEAST: f64 = 1e-12;

/// The number of evaluations of the slope per attempted step.
const STAGES: usize = 6;

/// The position of one sample on its path, with proportional–integral control of its step size.
///
/// Source: Gustafsson, *Control theoretic techniques for stepsize selection in explicit Runge–Kutta
/// methods*, ACM TOMS 17 (1991); Hairer & Wanner, *Solving Ordinary Differential Equations II*,
/// sec. IV.2, with the constants of their program DOPRI5.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StepController {
    pub(crate) at: f64,
    pub(crate) evaluations: usize,
    max_evaluations: usize,
    to: f64,
    way: f64,
    /// The current step, and its size before it was limited by the end.
    step: f64,
    wanted: f64,
    /// The error of the last accepted step, in units of the tolerance.
    last_error: f64,
    rejected: bool,
    stuck: bool,
}

impl StepController {
    pub(crate) fn new(from: f64, to: f64, max_evaluations: usize) -> Self {
        Self {
            at: from,
            evaluations: 0,
            max_evaluations,
            to,
            way: to - from,
            step: 0.0,
            wanted: 0.0,
            last_error: 1e-4,
            rejected: false,
            stuck: false,
        }
    }

    pub(crate) fn reached(&self) -> bool {
        self.at == self.to
    }

    pub(crate) fn is_done(&self) -> bool {
        self.reached() || self.stuck
    }

    pub(crate) fn give_up(&mut self) {
        self.stuck = true;
    }

    /// The step of an explicit Euler method that moves y by a hundredth of itself.
    pub(crate) fn trial_step(&self, state: f64, slope: f64) -> f64 {
        let h = 0.01 * state / slope;
        let usual = state >= 1e-5 && slope >= 1e-5 && h.is_finite();
        let h = if usual { h } else { 1e-6 };
        h.min(0.01 * self.way.abs()).copysign(self.way)
    }

    /// Sets the first step so that `h⁵ max(|y'|, |y''|)` is a hundredth of the tolerance.
    pub(crate) fn start(&mut self, trial: f64, slope: f64, curvature: f64) {
        let h = (0.01 / slope.max(curvature)).powf(0.2).min(100.0 * trial.abs());
        let h = if h.is_finite() { h } else { trial.abs() };
        self.wanted = h.copysign(self.way);
        self.evaluations = 2;
    }

    /// The next step to attempt; 0 if the sample has arrived or given up.
    pub(crate) fn next_step(&mut self) -> f64 {
        let out_of_reach = self.evaluations + STAGES > self.max_evaluations
            || self.wanted.abs() < LEAST * self.way.abs();
        self.stuck |= !self.reached() && out_of_reach;
        let left = self.to - self.at;
        self.step = match self.is_done() {
            true => 0.0,
            // The last step is extended, so that no tiny step remains.
            false if 1.01 * self.wanted.abs() >= left.abs() => left,
            false => self.wanted,
        };
        self.step
    }

    /// θ at a fraction c of the current step, exact at the end of the path.
    pub(crate) fn part_of_step(&self, c: f64) -> f64 {
        match self.step == self.to - self.at && c == 1.0 {
            true => self.to,
            false => self.at + c * self.step,
        }
    }

    /// Returns whether the current step is accepted, given `Σ e_j k_j` in units of the tolerance.
    pub(crate) fn judge(&mut self, slope_error: f64) -> bool {
        if self.is_done() {
            return false;
        }
        self.evaluations += STAGES;
        let error = self.step.abs() * slope_error;
        let proportional = error.powf(EXPONENT) / SAFETY;
        if error <= 1.0 {
            let change = (self.last_error.powf(MEMORY) / proportional).clamp(SHRINK, GROW);
            // The step does not grow right after a rejection.
            let change = if self.rejected { change.min(1.0) } else { change };
            self.at = self.part_of_step(1.0);
            self.wanted = self.step * change;
            (self.last_error, self.rejected) = (error.max(1e-4), false);
        } else {
            // An error of NaN shrinks the step by the limit.
            self.wanted = self.step * proportional.recip().max(SHRINK);
            self.rejected = true;
        }
        !self.rejected
    }
}
