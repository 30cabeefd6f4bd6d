//! The rules that are set, and what they mean for one request.
//!
//! Sure of counting: every rule counts every request that fits it, whether or not another rule acts
//! on it. Carrying the plan out is [`relay`](super::relay).

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::action::{By, Do, Reply};
use super::answer::Answer;
use super::call::Call;
use super::gate::Post;
use super::lock;
use super::memory::Memory;
use super::on::On;
use super::upstream::Upstream;

/// What all rules together want done with one request.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// In this order, before anything else.
    pub(super) before: Vec<Wait>,
    /// Where the reply comes from.
    pub(super) source: Source,
    /// Another API server than the proxy's own.
    pub(super) to: Option<Upstream>,
    /// In this order, with the reply at hand.
    pub(super) after: Vec<Wait>,
    /// What the client gets of it.
    pub(super) delivery: Delivery,
}

#[derive(Debug)]
pub(super) enum Wait {
    For(Duration),
    At(Post),
}

#[derive(Debug, Default)]
pub(super) enum Source {
    #[default]
    Server,
    ServerTwice(Reply),
    Memory(Memory),
    Proxy(Answer),
    Unsent(By),
}

#[derive(Debug, Default)]
pub(super) enum Delivery {
    #[default]
    Whole,
    Half(By),
    Nothing(By),
    Instead(Answer),
}

impl Plan {
    fn add(&mut self, act: &Do) {
        match act {
            Do::Pass => *self = Self::default(),
            Do::Delay(time) => self.before.push(Wait::For(*time)),
            Do::DelayReply(time) => self.after.push(Wait::For(*time)),
            Do::Hold(post) => self.before.push(Wait::At(post.clone())),
            Do::HoldReply(post) => self.after.push(Wait::At(post.clone())),
            Do::LoseRequest(by) => self.source = Source::Unsent(*by),
            Do::LoseReply(by) => self.delivery = Delivery::Nothing(*by),
            Do::LoseHalf(by) => self.delivery = Delivery::Half(*by),
            Do::Answer(answer) => self.source = Source::Proxy(answer.clone()),
            Do::AnswerInstead(answer) => self.delivery = Delivery::Instead(answer.clone()),
            Do::Duplicate(reply) => self.source = Source::ServerTwice(*reply),
            Do::SendTo(upstream) => self.to = Some(upstream.clone()),
            Do::Recall(memory) => self.source = Source::Memory(memory.clone()),
        }
    }
}

/// All rules in the order in which they were set.
#[derive(Debug, Default)]
pub(super) struct Rules {
    last_id: usize,
    set: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    id: usize,
    on: On,
    act: Do,
    until: Option<Instant>,
    /// By connection where the rule counts so, else under one key.
    seen: HashMap<Option<usize>, usize>,
    acted: Arc<AtomicUsize>,
}

impl Rules {
    pub(super) fn plan(&mut self, call: &Call, connection: usize, now: Instant) -> Plan {
        self.set
            .retain(|rule| rule.until.is_none_or(|until| now < until));
        let mut plan = Plan::default();
        for rule in self.set.iter_mut().filter(|rule| rule.on.fits(call)) {
            let key = rule.on.is_per_connection().then_some(connection);
            let seen = rule.seen.entry(key).or_default();
            *seen += 1;
            if rule.on.means(*seen) {
                rule.acted.fetch_add(1, Ordering::Relaxed);
                plan.add(&rule.act);
            }
        }
        plan
    }
}

/// A rule that is set. It stays when this is dropped; see [`Rule::remove`] and
/// [`Rule::for_duration`].
#[derive(Clone, Debug)]
pub struct Rule {
    rules: Arc<Mutex<Rules>>,
    id: usize,
    acted: Arc<AtomicUsize>,
}

impl Rule {
    pub(super) fn set(rules: &Arc<Mutex<Rules>>, on: On, act: Do) -> Self {
        let acted = Arc::new(AtomicUsize::new(0));
        let mut table = lock(rules);
        table.last_id += 1;
        let id = table.last_id;
        table.set.push(Entry {
            id,
            on,
            act,
            until: None,
            seen: HashMap::new(),
            acted: Arc::clone(&acted),
        });
        Self {
            rules: Arc::clone(rules),
            id,
            acted,
        }
    }

    /// Takes the rule away. Requests that it acts on already are not helped by that.
    pub fn remove(&self) {
        lock(&self.rules).set.retain(|rule| rule.id != self.id);
    }

    /// Takes the rule away after `time` from now.
    pub fn for_duration(&self, time: Duration) {
        let mut rules = lock(&self.rules);
        for rule in rules.set.iter_mut().filter(|rule| rule.id == self.id) {
            rule.until = Some(Instant::now() + time);
        }
    }

    /// How many requests the rule has acted on.
    #[must_use]
    pub fn acted(&self) -> usize {
        self.acted.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method, Uri};

    use super::*;

    fn pods() -> Call {
        Call::read(
            &Method::GET,
            &Uri::from_static("/api/v1/pods"),
            &HeaderMap::new(),
            b"",
        )
    }

    fn plans(rules: &Arc<Mutex<Rules>>, connections: &[usize]) -> Vec<Plan> {
        let plan = |connection: &usize| lock(rules).plan(&pods(), *connection, Instant::now());
        connections.iter().map(plan).collect()
    }

    fn loses(plan: &Plan) -> bool {
        matches!(plan.source, Source::Unsent(_))
    }

    #[test]
    fn a_rule_counts_what_other_rules_act_on() {
        let rules = Arc::default();
        let first = Rule::set(&rules, On::list("pods").nth(1), Do::LoseReply(By::Reset));
        let second = Rule::set(&rules, On::any().nth(2), Do::LoseRequest(By::Reset));
        let plans = plans(&rules, &[1, 1, 1]);
        assert_eq!(
            plans.iter().map(loses).collect::<Vec<_>>(),
            [false, true, false]
        );
        assert_eq!((first.acted(), second.acted()), (1, 1));
    }

    #[test]
    fn a_rule_may_count_on_each_connection() {
        let rules = Arc::default();
        Rule::set(
            &rules,
            On::any().nth(2).per_connection(),
            Do::LoseRequest(By::Reset),
        );
        let plans = plans(&rules, &[1, 2, 2, 1, 1]);
        assert_eq!(
            plans.iter().map(loses).collect::<Vec<_>>(),
            [false, false, true, true, false]
        );
    }

    #[test]
    fn waits_add_up_and_the_last_word_decides() {
        let rules = Arc::default();
        let second = Duration::from_secs(1);
        Rule::set(&rules, On::any(), Do::Delay(second));
        Rule::set(&rules, On::any(), Do::LoseRequest(By::Close));
        Rule::set(&rules, On::any(), Do::Delay(second));
        Rule::set(&rules, On::any(), Do::answer(503).into());
        let plan = plans(&rules, &[1]).remove(0);
        assert_eq!(plan.before.len(), 2);
        assert!(matches!(plan.source, Source::Proxy(_)));
    }

    #[test]
    fn pass_exempts_from_the_rules_before_it() {
        let rules = Arc::default();
        Rule::set(&rules, On::any(), Do::LoseRequest(By::Reset));
        let exemption = Rule::set(&rules, On::list("pods"), Do::Pass);
        assert!(!loses(&plans(&rules, &[1])[0]));
        exemption.remove();
        assert!(loses(&plans(&rules, &[1])[0]));
    }

    #[test]
    fn a_rule_for_a_time_ends_with_it() {
        let rules = Arc::default();
        let rule = Rule::set(&rules, On::any(), Do::LoseRequest(By::Reset));
        rule.for_duration(Duration::from_secs(20));
        let later = Instant::now() + Duration::from_secs(21);
        assert!(loses(&plans(&rules, &[1])[0]));
        assert!(!loses(&lock(&rules).plan(&pods(), 1, later)));
    }
}
