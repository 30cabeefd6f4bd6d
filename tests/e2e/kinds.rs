//! What the API server itself refuses, and what it then says.
//!
//! Each rule of a schema is a row: a sentence, an object that keeps the rule, one that breaks it,
//! and the one fault that the server then finds. Objects are created and replaced as a dry run,
//! which is validated like any other request, so that the rows leave nothing behind.

mod ip_claim;
mod ip_lease;
mod ippool;
mod reserved_ip;
mod segment;

use std::marker::PhantomData;

use anyhow::{Context, Result, bail, ensure};
use kube::api::{Api, DeleteParams, DynamicObject, PostParams};
use kube::core::{ApiResource, Resource};
use serde_json::{Value, json};

/// A rule, by example.
#[derive(Clone)]
struct Rule {
    says: &'static str,
    /// What is there already, if the rule is about a change.
    before: Option<Value>,
    kept: Value,
    broken: Value,
    /// What the server finds wrong: the field that it names, and what it says after repeating the
    /// value.
    faults: Vec<(String, &'static str)>,
}

impl Rule {
    /// A rule about objects of these names.
    fn of_named(
        says: &'static str,
        (kept_name, kept): (&str, &Value),
        (broken_name, broken): (&str, &Value),
        at: &str,
        fault: &'static str,
    ) -> Self {
        let named = |name, spec| json!({"metadata": {"name": name}, "spec": spec});
        Self {
            says,
            before: None,
            kept: named(kept_name, kept),
            broken: named(broken_name, broken),
            faults: vec![(at.to_owned(), fault)],
        }
    }

    /// A rule about what is written under `spec`, whatever the object's name.
    fn new(
        says: &'static str,
        kept: &Value,
        broken: &Value,
        at: &str,
        fault: &'static str,
    ) -> Self {
        let unnamed = |spec| json!({"metadata": {"generateName": "rule-"}, "spec": spec});
        Self {
            says,
            before: None,
            kept: unnamed(kept),
            broken: unnamed(broken),
            faults: vec![(at.to_owned(), fault)],
        }
    }

    /// The same, about what may become of an object that is there with this `spec`.
    fn of_a_change(mut self, before: &Value) -> Self {
        self.before = Some(with(&self.kept, &json!({"spec": before})));
        self
    }

    /// What can only be broken together with another rule, which then says so too.
    fn and(mut self, at: &str, fault: &'static str) -> Self {
        self.faults.push((at.to_owned(), fault));
        self
    }
}

/// `base` with some fields set otherwise.
fn with(base: &Value, change: &Value) -> Value {
    let mut merged = base.clone();
    for (field, value) in change.as_object().into_iter().flatten() {
        merged[field] = value.clone();
    }
    merged
}

/// The API server, as the one who judges objects of the kind `K`.
struct Judge<K> {
    objects: Api<DynamicObject>,
    kind: PhantomData<K>,
}

/// A field, and what is wrong with it.
type SchemaError = (String, String);

impl<K: Resource<DynamicType = ()>> Judge<K> {
    async fn new() -> Result<Self> {
        let client = testbed::shared().await?.admin().await?;
        Ok(Self {
            objects: Api::all_with(client, &ApiResource::erase::<K>(&())),
            kind: PhantomData,
        })
    }

    /// The same of a kind whose objects are in namespaces.
    async fn of_a_namespace() -> Result<Self> {
        let client = testbed::shared().await?.admin().await?;
        Ok(Self {
            objects: Api::namespaced_with(client, "default", &ApiResource::erase::<K>(&())),
            kind: PhantomData,
        })
    }

    /// Holds every rule against the server, and reports all that fail at once.
    async fn holds(&self, rules: Vec<Rule>) -> Result<()> {
        let mut failures = Vec::new();
        for rule in &rules {
            if let Err(failure) = self.hold(rule).await {
                failures.push(format!("{}: {failure:#}", rule.says));
            }
        }
        ensure!(failures.is_empty(), "{}", failures.join("\n"));
        Ok(())
    }

    async fn hold(&self, rule: &Rule) -> Result<()> {
        let before = match &rule.before {
            Some(object) => Some(self.store(object).await?),
            None => None,
        };
        let kept = self.faults(before.as_ref(), &rule.kept).await;
        let broken = self.faults(before.as_ref(), &rule.broken).await;
        if let Some(name) = before.and_then(|object| object.metadata.name) {
            self.objects.delete(&name, &DeleteParams::default()).await?;
        }
        let (kept, broken) = (kept?, broken?);
        ensure!(kept.is_empty(), "it is kept, and yet {kept:#?}");
        let expected = broken.len() == rule.faults.len()
            && broken
                .iter()
                .zip(&rule.faults)
                .all(|((at, fault), (rule_at, rule_fault))| {
                    at == rule_at && fault.ends_with(rule_fault)
                });
        ensure!(expected, "it is broken, and the server says {broken:#?}");
        Ok(())
    }

    /// What the server finds wrong with a new object, or with one that takes the place of `before`.
    async fn faults(
        &self,
        before: Option<&DynamicObject>,
        object: &Value,
    ) -> Result<Vec<SchemaError>> {
        let dry_run = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        let mut object = Self::typed(object)?;
        let answer = if let Some(before) = before {
            let name = before.metadata.name.as_deref().context("a name")?;
            object.metadata.name = Some(name.to_owned());
            object
                .metadata
                .resource_version
                .clone_from(&before.metadata.resource_version);
            self.objects.replace(name, &dry_run, &object).await
        } else {
            self.objects.create(&dry_run, &object).await
        };
        match answer {
            Ok(_) => Ok(Vec::new()),
            Err(kube::Error::Api(status)) if status.code == 422 => {
                let causes = status.details.context("no details")?.causes;
                let faults = causes.into_iter().map(|cause| (cause.field, cause.message));
                // Not a fault, but that there may be more: rules wait until types and sizes are
                // right.
                let of_the_object = |(_, text): &SchemaError| {
                    !text.contains("some validation rules were not checked")
                };
                Ok(faults.filter(of_the_object).collect())
            }
            Err(other) => bail!(other),
        }
    }

    async fn store(&self, object: &Value) -> Result<DynamicObject> {
        let object = Self::typed(object)?;
        let stored = self.objects.create(&PostParams::default(), &object).await;
        stored.context("store what is there before")
    }

    fn typed(object: &Value) -> Result<DynamicObject> {
        let kind = json!({"apiVersion": K::api_version(&()), "kind": K::kind(&())});
        Ok(serde_json::from_value(with(object, &kind))?)
    }
}

#[tokio::test]
async fn the_kinds_are_applied_with_and_without_kustomize() -> Result<()> {
    let cluster = testbed::shared().await?;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/crds/");
    for how in ["-f", "-k"] {
        let applied = cluster
            .kubectl(&["apply", "--dry-run=server", how, folder])
            .await?;
        assert_eq!(applied.lines().count(), 5, "{how}: {applied}");
    }
    Ok(())
}
