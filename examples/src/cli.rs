//! How an example ends: quietly, or with one sentence.

use std::error::Error;
use std::process::ExitCode;

/// Runs `main`; on an error prints `error: …` on stderr and answers exit code 2.
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
pub fn run(main: fn() -> Result<(), Box<dyn Error>>) -> ExitCode {
    match main() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", sentence(error.as_ref()));
            ExitCode::from(2)
        }
    }
}

/// An error and all that caused it, as one sentence: `what went wrong: why: why that`.
pub fn sentence(error: &dyn Error) -> String {
    let mut sentence = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let why = error.to_string();
        // Some errors already quote their cause; saying it twice helps nobody.
        if !sentence.ends_with(&why) {
            sentence.push_str(": ");
            sentence.push_str(&why);
        }
        cause = error.source();
    }
    sentence
}
