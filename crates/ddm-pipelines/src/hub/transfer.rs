//! How far a download is.

use hf_hub::api::Progress;

/// How far the download of a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transfer<'a> {
    /// The file's path in the repository.
    pub file: &'a str,
    /// The bytes that are here, those of an earlier attempt included.
    pub received: u64,
    /// The bytes that it has.
    pub size: u64,
}

/// What is called with each [`Transfer`].
pub(super) type Report<'a> = &'a mut dyn FnMut(&Transfer<'_>);

/// Reports the progress of one file.
pub(super) struct Watch<'a> {
    report: Report<'a>,
    at: Transfer<'a>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(file: &'a str, size: u64, report: Report<'a>) -> Self {
        Self { report, at: Transfer { file, received: 0, size } }
    }
}

impl Progress for Watch<'_> {
    fn init(&mut self, size: usize, _: &str) {
        self.at = Transfer { received: 0, size: size as u64, ..self.at };
    }

    fn update(&mut self, size: usize) {
        // Nothing is read at the end.
        if size > 0 || self.at.received == 0 {
            self.at.received += size as u64;
            (self.report)(&self.at);
        }
    }

    fn finish(&mut self) {}
}
