//! Files with environment variables, such as `.env`.

use std::fmt;
use std::path::Path;

use super::setup_error::SetupError;
use crate::cli::arg_reader::{UsageError, parse_pair};

/// An invalid line of an env file.
#[derive(Debug)]
pub struct LineError {
    number: usize,
    error: UsageError,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.number, self.error)
    }
}

pub fn read(path: &Path) -> Result<Vec<(String, String)>, SetupError> {
    let text = std::fs::read_to_string(path).map_err(|error| SetupError::ReadEnvFile {
        path: path.to_owned(),
        error,
    })?;
    parse(&text).map_err(|error| SetupError::ParseEnvFile {
        path: path.to_owned(),
        error,
    })
}

/// Parses lines of `NAME=VALUE`, with blank lines, `#` comments, a leading `export`, and quotes
/// around a value.
fn parse(text: &str) -> Result<Vec<(String, String)>, LineError> {
    let mut pairs = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) = parse_pair(line).map_err(|error| LineError { number, error })?;
        let value = value.trim();
        let unquoted = ['"', '\'']
            .iter()
            .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote))
            .unwrap_or(value);
        pairs.push((name, unquoted.to_owned()));
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_env_file_may_contain_comments_quotes_and_exports() {
        let pairs = parse("# c\n\nA=1\nexport B = \"x y\" \nC='q'\nD=a=b#c\nE=\n").expect("pairs");
        let pairs: Vec<(&str, &str)> = pairs
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            pairs,
            [
                ("A", "1"),
                ("B", "x y"),
                ("C", "q"),
                ("D", "a=b#c"),
                ("E", "")
            ]
        );
    }

    #[test]
    fn the_error_has_the_number_of_an_invalid_line() {
        assert!(
            parse("A=1\nnonsense\n")
                .expect_err("error")
                .to_string()
                .starts_with("line 2")
        );
    }
}
