//! The content of a condition.

use jiff::Timestamp;

use crate::api::{Condition, Time};

/// Whether something holds, and why.
pub(super) struct Finding {
    pub holds: bool,
    pub reason: &'static str,
    pub message: String,
}

impl Finding {
    pub fn yes(reason: &'static str, message: String) -> Self {
        Self {
            holds: true,
            reason,
            message,
        }
    }

    pub fn no(reason: &'static str) -> Self {
        Self {
            holds: false,
            reason,
            message: String::new(),
        }
    }

    /// The first of `count` things, and how many more there are.
    pub fn listed(mut shown: Vec<String>, count: usize) -> String {
        if count > shown.len() {
            shown.push(format!("and {} more", count - shown.len()));
        }
        shown.join("; ")
    }

    /// As it is written. The time of a condition is that of its last change from yes to no or back.
    pub fn condition(
        self,
        kind: &str,
        generation: Option<i64>,
        before: &[Condition],
        now: Timestamp,
    ) -> Condition {
        let status = if self.holds { "True" } else { "False" };
        let same = before
            .iter()
            .find(|c| c.type_ == kind && c.status == status);
        Condition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: self.reason.to_owned(),
            message: self.message,
            last_transition_time: same.map_or(Time(now), |c| c.last_transition_time.clone()),
            observed_generation: generation,
        }
    }
}
