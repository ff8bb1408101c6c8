//! The words of a command line, one after the other, and what is said about a wrong one.

use std::time::Duration;

/// The words of the command line, read from left to right; `--name=value` counts as two.
pub struct Words {
    words: Vec<String>,
    next: usize,
    flag: String,
    inline: Option<String>,
}

impl Words {
    pub fn new(args: impl IntoIterator<Item = String>) -> Words {
        Words {
            words: args.into_iter().collect(),
            next: 0,
            flag: String::new(),
            inline: None,
        }
    }

    pub fn skip(&mut self) {
        self.next += 1;
    }

    pub fn peek(&self) -> Option<&str> {
        self.words.get(self.next).map(String::as_str)
    }

    pub fn flag(&mut self) -> Option<String> {
        let word = self.words.get(self.next)?.clone();
        self.next += 1;
        let (flag, inline) = match word.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => {
                (flag.to_owned(), Some(value.to_owned()))
            }
            _ => (word, None),
        };
        self.inline = inline;
        self.flag.clone_from(&flag);
        Some(flag)
    }

    pub fn rest(&mut self) -> Vec<String> {
        self.words.split_off(self.next.min(self.words.len()))
    }

    pub fn value(&mut self) -> Result<String, String> {
        if let Some(value) = self.inline.take() {
            return Ok(value);
        }
        let value = self
            .words
            .get(self.next)
            .filter(|word| word.as_str() != "--")
            .cloned();
        self.next += 1;
        value.ok_or_else(|| format!("`{}` needs a value", self.flag))
    }

    pub fn switch(&mut self) -> Result<bool, String> {
        match self.inline.take() {
            None => Ok(true),
            Some(value) => Err(format!("`{}` takes no value, yet got `{value}`", self.flag)),
        }
    }

    pub fn number<N: TryFrom<u64>>(&mut self, least: u64, most: u64) -> Result<N, String> {
        let value = self.value()?;
        let number = value
            .parse()
            .ok()
            .filter(|number| (least..=most).contains(number));
        number
            .and_then(|number| N::try_from(number).ok())
            .ok_or_else(|| {
                format!(
                    "`{}` must be a number from {least} to {most}, not `{value}`",
                    self.flag
                )
            })
    }

    pub fn seconds(&mut self) -> Result<Duration, String> {
        let value = self.value()?;
        let seconds = value
            .parse()
            .ok()
            .filter(|seconds: &f64| (0.001..=900.0).contains(seconds));
        seconds.map(Duration::from_secs_f64).ok_or_else(|| {
            format!(
                "`{}` must be a number of seconds up to 900, not `{value}`",
                self.flag
            )
        })
    }

    pub fn one_of<T: Copy>(&mut self, choices: &[(&str, T)]) -> Result<T, String> {
        let value = self.value()?;
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        choices
            .iter()
            .find(|(name, _)| *name == value)
            .map(|(_, choice)| *choice)
            .ok_or_else(|| {
                format!(
                    "`{}` must be one of {}, not `{value}`",
                    self.flag,
                    names.join(", ")
                )
            })
    }
}

/// `NAME=VALUE`
pub fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.to_owned()))
        }
        _ => Err(format!("`{text}` is not of the form NAME=VALUE")),
    }
}

pub fn unknown_word(word: &str) -> String {
    if word.starts_with('-') {
        format!("unknown option `{word}` (see `lambda-local --help`)")
    } else {
        format!(
            "unexpected `{word}`: the command of your app goes after `--`, as in `lambda-local -- {word}`"
        )
    }
}
