//! The end of an example: an exit code, or one sentence.

use std::error::Error;
use std::process::{ExitCode, Termination};

/// Runs `main` and returns its exit code: success, unless it returns another. On an error, prints `error: …` on stderr and returns exit code 2.
///
/// ```no_run
/// use std::process::ExitCode;
///
/// fn main() -> ExitCode {
///     ddm_examples::cli::run(|| {
///         let digits = ddm_examples::data::digits_from("digits.csv.gz".as_ref())?;
///         println!("{} digits", digits.len());
///         Ok(())
///     })
/// }
/// ```
pub fn run<T: Termination>(main: fn() -> Result<T, Box<dyn Error>>) -> ExitCode {
    match main() {
        Ok(end) => end.report(),
        Err(error) => {
            eprintln!("error: {}", sentence(error.as_ref()));
            ExitCode::from(2)
        }
    }
}

/// Returns an error and its causes as one sentence: `error: cause: cause`.
pub fn sentence(error: &dyn Error) -> String {
    let mut sentence = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let why = error.to_string();
        // Some errors already include their cause.
        if !sentence.ends_with(&why) {
            sentence.push_str(": ");
            sentence.push_str(&why);
        }
        cause = error.source();
    }
    sentence
}
