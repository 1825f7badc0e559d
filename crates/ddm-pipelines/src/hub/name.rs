//! Names of repositories, and of files in them.

use super::HubError;

/// A repository, and perhaps a file in it.
#[derive(Clone, Debug)]
pub(super) struct Name {
    pub(super) repository: String,
    pub(super) file: Option<String>,
}

impl Name {
    /// Reads `organization/name` or `organization/name:file`.
    pub(super) fn parse(text: &str) -> Result<Self, HubError> {
        let (repository, file) = match text.split_once(':') {
            Some((repository, file)) => (repository, Some(file)),
            None => (text, None),
        };
        let parts: Vec<&str> = repository.split('/').collect();
        let good = parts.len() == 2 && parts.iter().all(|part| plain(part));
        if !good || !file.is_none_or(is_path) {
            return Err(HubError::Name { found: text.to_owned() });
        }
        Ok(Self { repository: repository.to_owned(), file: file.map(str::to_owned) })
    }
}

/// Whether this is a path within a repository, or a branch: names that lead nowhere else, in a URL and
/// in a folder.
pub(super) fn is_path(text: &str) -> bool {
    text.split('/').all(plain)
}

/// Whether this is a commit.
pub(super) fn is_commit(text: &str) -> bool {
    (40..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn plain(part: &str) -> bool {
    let fine = |c: char| c.is_ascii_alphanumeric() || "._-+=@,()".contains(c);
    !part.is_empty() && !part.chars().all(|c| c == '.') && part.chars().all(fine)
}
