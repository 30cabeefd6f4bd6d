//! Label selectors that report which condition is not met.

use std::collections::BTreeMap;

use crate::api::{Expression, LabelSelector, ParseExpressionError, Selector, SelectorExt};

/// Conditions on labels, which must all hold; the default has none and matches everything.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Affinity(Vec<Expression>);

impl Affinity {
    /// Whether it has no condition, as the selector `{}`.
    #[must_use]
    pub fn fits_all(&self) -> bool {
        self.0.is_empty()
    }

    /// The first condition that `labels` do not meet, in words that follow the name of the object:
    /// `lacks zone=b`, `has gpu=old`.
    #[must_use]
    pub fn unmet(&self, labels: &BTreeMap<String, String>) -> Option<String> {
        let unmet = self
            .0
            .iter()
            .find(|expression| !expression.matches(labels))?;
        Some(match unmet {
            Expression::In(..) | Expression::Equal(..) | Expression::Exists(_) => {
                format!("lacks {unmet}")
            }
            // Only an existing label violates these.
            Expression::NotIn(key, _)
            | Expression::NotEqual(key, _)
            | Expression::DoesNotExist(key) => {
                let value = labels.get(key).map(String::as_str).unwrap_or_default();
                format!("has {key}={value}")
            }
        })
    }
}

/// With the meaning that the API server gives its own selectors.
impl TryFrom<LabelSelector> for Affinity {
    type Error = ParseExpressionError;

    fn try_from(written: LabelSelector) -> Result<Self, Self::Error> {
        Ok(Self(Selector::try_from(written)?.into_iter().collect()))
    }
}
