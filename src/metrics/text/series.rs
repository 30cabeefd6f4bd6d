//! A series: the name of a metric, and labels.

use std::fmt;

/// One series.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Series {
    name: String,
    labels: Vec<(String, String)>,
}

impl Series {
    /// The series of this metric under these labels, in this order.
    pub fn new(name: &str, labels: &[(&str, &str)]) -> Self {
        let owned = |&(label, value): &(&str, &str)| (label.to_owned(), value.to_owned());
        Self {
            name: name.to_owned(),
            labels: labels.iter().map(owned).collect(),
        }
    }

    /// Whether it belongs to this metric and has labels of these names.
    pub fn is_of(&self, name: &str, labels: &[&str]) -> bool {
        self.name == name && self.labels.iter().map(|(label, _)| label).eq(labels)
    }

    /// The value of the first label.
    pub fn first(&self) -> Option<&str> {
        self.labels.first().map(|(_, value)| &**value)
    }

    /// Reads a line's series, and what follows it.
    pub fn parse(line: &str) -> Option<(Self, &str)> {
        let (name, mut rest) = name(line)?;
        let mut labels = Vec::new();
        if let Some(mut inside) = rest.strip_prefix('{') {
            loop {
                let (label, after) = self::name(inside)?;
                let (value, after) = value(after.strip_prefix("=\"")?)?;
                labels.push((label.to_owned(), value));
                if let Some(after) = after.strip_prefix('}') {
                    rest = after;
                    break;
                }
                inside = after.strip_prefix(',')?;
            }
        }
        let name = name.to_owned();
        Some((Self { name, labels }, rest))
    }
}

/// A name as the format has it, and what follows.
fn name(text: &str) -> Option<(&str, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let begins = name.bytes().next()?;
    (!begins.is_ascii_digit()).then_some((name, rest))
}

/// A quoted value, and what follows its closing quote.
fn value(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.chars();
    loop {
        match chars.next()? {
            '"' => return Some((value, chars.as_str())),
            '\\' => value.push(match chars.next()? {
                'n' => '\n',
                c @ ('\\' | '"') => c,
                _ => return None,
            }),
            c => value.push(c),
        }
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for (index, (label, value)) in self.labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            let value = value
                .replace('\\', r"\\")
                .replace('"', r#"\""#)
                .replace('\n', r"\n");
            write!(f, "{before}{label}=\"{value}\"")?;
        }
        if self.labels.is_empty() {
            return Ok(());
        }
        f.write_str("}")
    }
}
