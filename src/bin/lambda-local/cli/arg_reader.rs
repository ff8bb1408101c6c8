//! Reads command-line arguments from left to right and reports invalid ones.

use std::fmt;
use std::time::Duration;

/// An error in the command line; the program exits with 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsageError {
    UnknownOption(String),
    UnexpectedArgument(String),
    MissingValue {
        option: String,
    },
    UnexpectedValue {
        option: String,
        value: String,
    },
    InvalidValue {
        option: String,
        value: String,
        expected: String,
    },
    NotAPair(String),
    /// A required argument is missing, or options contradict each other.
    Invalid(&'static str),
}

impl UsageError {
    pub fn unknown(argument: &str) -> UsageError {
        if argument.starts_with('-') {
            UsageError::UnknownOption(argument.to_owned())
        } else {
            UsageError::UnexpectedArgument(argument.to_owned())
        }
    }
}

impl std::error::Error for UsageError {}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UsageError::UnknownOption(option) => {
                write!(f, "unknown option `{option}` (see `lambda-local --help`)")
            }
            UsageError::UnexpectedArgument(argument) => write!(
                f,
                "unexpected argument `{argument}`: the command of your app goes after `--`, \
                 as in `lambda-local -- {argument}`"
            ),
            UsageError::MissingValue { option } => write!(f, "`{option}` needs a value"),
            UsageError::UnexpectedValue { option, value } => {
                write!(f, "`{option}` takes no value, but got `{value}`")
            }
            UsageError::InvalidValue {
                option,
                value,
                expected,
            } => write!(f, "`{option}` must be {expected}, not `{value}`"),
            UsageError::NotAPair(text) => write!(f, "`{text}` is not of the form NAME=VALUE"),
            UsageError::Invalid(text) => f.write_str(text),
        }
    }
}

/// The arguments; `--name=value` counts as two.
#[derive(Debug)]
pub struct ArgReader {
    args: Vec<String>,
    next: usize,
    option: String,
    inline_value: Option<String>,
}

impl ArgReader {
    pub fn new(args: impl IntoIterator<Item = String>) -> ArgReader {
        ArgReader {
            args: args.into_iter().collect(),
            next: 0,
            option: String::new(),
            inline_value: None,
        }
    }

    pub fn skip(&mut self) {
        self.next += 1;
    }

    pub fn peek(&self) -> Option<&str> {
        self.args.get(self.next).map(String::as_str)
    }

    /// Returns the next option or positional argument. Its value is read by one of the methods
    /// below.
    pub fn option(&mut self) -> Option<String> {
        let arg = self.args.get(self.next)?.clone();
        self.next += 1;
        let (option, inline_value) = match arg.split_once('=') {
            Some((option, value)) if option.starts_with("--") => {
                (option.to_owned(), Some(value.to_owned()))
            }
            _ => (arg, None),
        };
        self.inline_value = inline_value;
        self.option.clone_from(&option);
        Some(option)
    }

    /// Returns all remaining arguments.
    pub fn rest(&mut self) -> Vec<String> {
        self.args.split_off(self.next.min(self.args.len()))
    }

    pub fn value(&mut self) -> Result<String, UsageError> {
        if let Some(value) = self.inline_value.take() {
            return Ok(value);
        }
        let value = self.args.get(self.next);
        let value = value.filter(|value| value.as_str() != "--").cloned();
        self.next += 1;
        value.ok_or_else(|| UsageError::MissingValue {
            option: self.option.clone(),
        })
    }

    /// Returns the value of an option that may be without one.
    pub fn optional_value(&mut self) -> Option<String> {
        if let Some(value) = self.inline_value.take() {
            return Some(value);
        }
        let value = self
            .peek()
            .filter(|value| !value.starts_with('-'))?
            .to_owned();
        self.next += 1;
        Some(value)
    }

    /// Checks that the option has no inline value.
    pub fn no_value(&mut self) -> Result<(), UsageError> {
        match self.inline_value.take() {
            None => Ok(()),
            Some(value) => Err(UsageError::UnexpectedValue {
                option: self.option.clone(),
                value,
            }),
        }
    }

    pub fn number<N: TryFrom<u64>>(&mut self, min: u64, max: u64) -> Result<N, UsageError> {
        let value = self.value()?;
        let number = value.parse().ok().filter(|n| (min..=max).contains(n));
        let number = number.and_then(|number| N::try_from(number).ok());
        number.ok_or_else(|| self.invalid(value, format!("a number from {min} to {max}")))
    }

    pub fn seconds(&mut self) -> Result<Duration, UsageError> {
        let value = self.value()?;
        let seconds = value.parse().ok();
        let seconds = seconds.filter(|seconds: &f64| (0.001..=900.0).contains(seconds));
        seconds
            .map(Duration::from_secs_f64)
            .ok_or_else(|| self.invalid(value, "a number of seconds up to 900".to_owned()))
    }

    pub fn one_of<T: Copy>(&mut self, choices: &[(&str, T)]) -> Result<T, UsageError> {
        let value = self.value()?;
        let chosen = choices.iter().find(|(name, _)| *name == value);
        chosen.map(|(_, choice)| *choice).ok_or_else(|| {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            self.invalid(value, format!("one of {}", names.join(", ")))
        })
    }

    fn invalid(&self, value: String, expected: String) -> UsageError {
        UsageError::InvalidValue {
            option: self.option.clone(),
            value,
            expected,
        }
    }
}

/// Parses `NAME=VALUE`.
pub fn parse_pair(text: &str) -> Result<(String, String), UsageError> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.to_owned()))
        }
        _ => Err(UsageError::NotAPair(text.to_owned())),
    }
}
