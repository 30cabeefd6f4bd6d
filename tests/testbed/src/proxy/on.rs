//! Which requests a rule is about.
//!
//! Pure: whether a call fits, and whether a count is the one meant. Who counts is
//! [`rules`](super::rules).

use std::fmt;
use std::sync::Arc;

use super::call::Call;
use super::verb::Verb;

/// Requests of some sort, and which of them in the order of their arrival.
///
/// Everything left unsaid fits everything. Counting begins when the rule is set.
#[derive(Clone, Default)]
pub struct On {
    verbs: Vec<Verb>,
    resource: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
    caller: Option<String>,
    query: Vec<String>,
    tests: Vec<Arc<Test>>,
    position: Position,
    per_connection: bool,
}

type Test = dyn Fn(&Call) -> bool + Send + Sync;

#[derive(Clone, Copy, Debug, Default)]
enum Position {
    #[default]
    Every,
    Nth(usize),
    First(usize),
    From(usize),
}

impl On {
    /// Every request.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Every request that may change something.
    #[must_use]
    pub fn writes() -> Self {
        Self::verbs([
            Verb::Create,
            Verb::Replace,
            Verb::Patch,
            Verb::Delete,
            Verb::DeleteCollection,
        ])
    }

    /// Every request that changes nothing.
    #[must_use]
    pub fn reads() -> Self {
        Self::verbs([Verb::Get, Verb::List, Verb::Watch])
    }

    /// Requests of these verbs.
    #[must_use]
    pub fn verbs(verbs: impl IntoIterator<Item = Verb>) -> Self {
        Self {
            verbs: verbs.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Reads of one object.
    #[must_use]
    pub fn get(resource: &str) -> Self {
        Self::verbs([Verb::Get]).of(resource)
    }

    /// Reads of a collection, a page counted as one.
    #[must_use]
    pub fn list(resource: &str) -> Self {
        Self::verbs([Verb::List]).of(resource)
    }

    /// Creations.
    #[must_use]
    pub fn create(resource: &str) -> Self {
        Self::verbs([Verb::Create]).of(resource)
    }

    /// Replacements of a whole object.
    #[must_use]
    pub fn replace(resource: &str) -> Self {
        Self::verbs([Verb::Replace]).of(resource)
    }

    /// Patches, server-side apply among them.
    #[must_use]
    pub fn patch(resource: &str) -> Self {
        Self::verbs([Verb::Patch]).of(resource)
    }

    /// Deletions of one object.
    #[must_use]
    pub fn delete(resource: &str) -> Self {
        Self::verbs([Verb::Delete]).of(resource)
    }

    /// Only of this resource in plural, with its subresource as RBAC writes it: `pods` is not
    /// `pods/status`.
    #[must_use]
    pub fn of(mut self, resource: &str) -> Self {
        self.resource = Some(resource.to_owned());
        self
    }

    /// Only in this namespace.
    #[must_use]
    pub fn in_namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    /// Only the object of this name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Only by this caller (see [`Call::caller`]).
    #[must_use]
    pub fn caller(mut self, caller: &str) -> Self {
        self.caller = Some(caller.to_owned());
        self
    }

    /// Only with this in the query, as sent: a whole pair (`resourceVersion=0`) or a key
    /// (`continue`).
    #[must_use]
    pub fn with_query(mut self, part: &str) -> Self {
        self.query.push(part.to_owned());
        self
    }

    /// Only where `test` says yes: whatever the other methods have no word for.
    #[must_use]
    pub fn when(mut self, test: impl Fn(&Call) -> bool + Send + Sync + 'static) -> Self {
        self.tests.push(Arc::new(test));
        self
    }

    /// Only the `k`-th of them, counted from 1.
    #[must_use]
    pub fn nth(mut self, k: usize) -> Self {
        self.position = Position::Nth(k);
        self
    }

    /// Only the first `n` of them.
    #[must_use]
    pub fn first(mut self, n: usize) -> Self {
        self.position = Position::First(n);
        self
    }

    /// Only the `k`-th of them and those after it, counted from 1.
    #[must_use]
    pub fn from_nth(mut self, k: usize) -> Self {
        self.position = Position::From(k);
        self
    }

    /// Counts anew on each connection. Every process opens connections of its own, so that the
    /// `k`-th of a connection is the `k`-th of a process that keeps to one.
    #[must_use]
    pub fn per_connection(mut self) -> Self {
        self.per_connection = true;
        self
    }

    /// Whether `call` is of this sort, whatever its position.
    #[must_use]
    pub fn fits(&self, call: &Call) -> bool {
        let is = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        let asks = |part: &String| {
            call.query().any(|pair| {
                pair == part || pair.split_once('=').is_some_and(|(key, _)| key == part)
            })
        };
        (self.verbs.is_empty() || self.verbs.contains(&call.verb))
            && is(&self.resource, Some(&call.resource))
            && is(&self.namespace, call.namespace.as_deref())
            && is(&self.name, call.name.as_deref())
            && is(&self.caller, Some(&call.caller))
            && self.query.iter().all(asks)
            && self.tests.iter().all(|test| test(call))
    }

    pub(super) fn is_per_connection(&self) -> bool {
        self.per_connection
    }

    /// Whether the `count`-th call that fits, counted from 1, is meant.
    pub(super) fn means(&self, count: usize) -> bool {
        match self.position {
            Position::Every => true,
            Position::Nth(k) => count == k,
            Position::First(n) => count <= n,
            Position::From(k) => count >= k,
        }
    }
}

impl fmt::Debug for On {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("On")
            .field("verbs", &self.verbs)
            .field("resource", &self.resource)
            .field("namespace", &self.namespace)
            .field("name", &self.name)
            .field("caller", &self.caller)
            .field("query", &self.query)
            .field("tests", &self.tests.len())
            .field("position", &self.position)
            .field("per_connection", &self.per_connection)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method};

    use super::*;

    fn call(uri: &str) -> Call {
        Call::read(
            &Method::GET,
            &uri.parse().expect("a path"),
            &HeaderMap::new(),
            b"",
        )
    }

    #[test]
    fn what_is_left_unsaid_fits_everything() {
        assert!(On::any().fits(&call("/version")));
        assert!(On::list("pods").fits(&call("/api/v1/namespaces/web/pods")));
    }

    #[test]
    fn all_that_is_said_must_fit() {
        let pod = call("/as/n1/api/v1/namespaces/web/pods/a");
        let on = || On::get("pods").in_namespace("web").named("a").caller("n1");
        assert!(on().fits(&pod));
        assert!(!on().caller("n2").fits(&pod));
        assert!(!on().named("b").fits(&pod));
        assert!(!on().of("pods/status").fits(&pod));
        assert!(
            !on()
                .when(|call| call.headers.contains_key("user-agent"))
                .fits(&pod)
        );
    }

    #[test]
    fn a_query_is_asked_by_key_or_by_pair() {
        let page = call("/api/v1/pods?limit=500&continue=abc");
        assert!(
            On::list("pods")
                .with_query("continue")
                .with_query("limit=500")
                .fits(&page)
        );
        assert!(!On::list("pods").with_query("limit=50").fits(&page));
        assert!(!On::list("pods").with_query("resourceVersion").fits(&page));
    }

    #[test]
    fn positions_count_from_one() {
        let meant = |on: On| (1..=4).filter(|count| on.means(*count)).collect::<Vec<_>>();
        assert_eq!(meant(On::any()), [1, 2, 3, 4]);
        assert_eq!(meant(On::any().nth(2)), [2]);
        assert_eq!(meant(On::any().first(2)), [1, 2]);
        assert_eq!(meant(On::any().from_nth(3)), [3, 4]);
    }
}
