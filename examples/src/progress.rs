//! Progress bars.

use ddm_core::pipelines::Transfer;
use ddm_core::train::Progress;
use indicatif::{ProgressBar, ProgressStyle};

/// Returns a progress bar for a training, hidden where standard error is not a terminal.
///
/// ```
/// let report = ddm_examples::progress::training_bar(); // for `Training::run_with`
/// ```
pub fn training_bar() -> impl FnMut(Progress) {
    let template = "training  {wide_bar} {pos}/{len}  loss {msg}  {eta} left";
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(0).with_style(style);
    move |at| {
        bar.set_length(at.steps as u64);
        bar.set_message(format!("{:.4}", at.loss));
        bar.set_position(at.step as u64);
        if at.step == at.steps {
            bar.finish();
        }
    }
}

/// Returns a bar for a run of this many steps, with the time that is left; hidden where standard error is
/// not a terminal.
pub fn sampling_bar(steps: usize) -> ProgressBar {
    let template = "sampling  {wide_bar} {pos}/{len}  {eta} left";
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(steps as u64).with_style(style)
}

/// Bars for downloads, one for each file; hidden where standard error is not a terminal.
///
/// ```
/// use ddm_examples::progress::TransferBars;
/// let mut bars = TransferBars::default();
/// let hub = ddm_core::pipelines::Hub::new("cache");
/// let directory = hub.fetch("not a name", &mut |at| bars.show(at));
/// assert!(directory.is_err());
/// ```
#[derive(Debug, Default)]
pub struct TransferBars {
    /// The file that is being downloaded.
    now: Option<(String, ProgressBar)>,
}

impl TransferBars {
    /// Shows how far the download of a file is.
    pub fn show(&mut self, at: &Transfer<'_>) {
        let begun = self.now.as_ref().is_some_and(|(file, _)| file == at.file);
        if !begun {
            let template = "{msg}  {wide_bar} {bytes}/{total_bytes}  {eta} left";
            let style = ProgressStyle::with_template(template)
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = ProgressBar::new(at.size).with_style(style).with_message(at.file.to_owned());
            self.now = Some((at.file.to_owned(), bar));
        }
        let Some((_, bar)) = &self.now else { return };
        bar.set_length(at.size);
        bar.set_position(at.received);
        if at.received >= at.size {
            bar.finish();
        }
    }
}
