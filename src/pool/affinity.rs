//! Label selectors that can say what they miss.

use std::collections::BTreeMap;

use crate::api::{Expression, LabelSelector, ParseExpressionError, Selector, SelectorExt};

/// Conditions on labels, all of which have to hold; the default has none and fits all.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Affinity(Vec<Expression>);

impl Affinity {
    /// Whether it has no condition. `{}` is such a selector, as everywhere in Kubernetes.
    #[must_use]
    pub fn fits_all(&self) -> bool {
        self.0.is_empty()
    }

    /// The first condition that `labels` do not meet, in words that follow the name of what has the labels:
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
            // Not met only where the label is there.
            Expression::NotIn(key, _)
            | Expression::NotEqual(key, _)
            | Expression::DoesNotExist(key) => {
                let value = labels.get(key).map(String::as_str).unwrap_or_default();
                format!("has {key}={value}")
            }
        })
    }
}

/// As the API server's own selectors are understood.
impl TryFrom<LabelSelector> for Affinity {
    type Error = ParseExpressionError;

    fn try_from(written: LabelSelector) -> Result<Self, Self::Error> {
        Ok(Self(Selector::try_from(written)?.into_iter().collect()))
    }
}
