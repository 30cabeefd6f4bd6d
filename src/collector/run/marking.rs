//! The marks of the last run, read; those for the next one, written.

use super::{Run, Stop};
use crate::collector::api::{Api, ConfigMapSnapshot};
use crate::collector::marks::{CONFIG_MAP, MOST, MarkTable, Page, STALE};
use crate::collector::now::Now;
use crate::collector::report::Reporter;
use crate::retry::{Clock, Error};
use crate::text::counted;

/// More ConfigMaps than [`MOST`] marks can take.
const PAGES: usize = 1 + MOST / 2_000;

/// The ConfigMaps as they were read.
#[derive(Debug, Default)]
pub(super) struct StoredMarks(Vec<ConfigMapSnapshot>);

impl<W: Api, C: Clock, T: Reporter> Run<'_, W, C, T> {
    /// The marks of the last run; `None`: they could not be read, and none are written over them.
    pub(super) async fn read_marks(&mut self) -> Option<StoredMarks> {
        match self.try_to_read_marks().await {
            Ok(stored) => Some(stored),
            Err(error) => {
                let namespace = &self.options.namespace;
                let what = format!(
                    "no lease of a pod that is gone is released, because the ConfigMaps {CONFIG_MAP}* in namespace {namespace} \
                     could not be read"
                );
                self.failed(what, error);
                None
            }
        }
    }

    /// They stand without a gap between them.
    async fn try_to_read_marks(&self) -> Result<StoredMarks, Error> {
        let mut stored = StoredMarks::default();
        for index in 0..PAGES {
            let name = name(index);
            let read = async || {
                let api = self.client.api;
                api.config_map(&self.options.namespace, &name).await
            };
            let page = self.client.retry(read).await?;
            if page.version.is_none() {
                break;
            }
            stored.0.push(page);
        }
        Ok(stored)
    }

    /// Those that count, after the lists.
    pub(super) fn valid_marks(&mut self, stored: Option<&StoredMarks>, now: &Now) -> MarkTable {
        let pages = stored.into_iter().flat_map(|stored| &stored.0);
        let pages: Vec<Page> = pages.map(|page| page.data.clone()).collect();
        let (marks, void) = MarkTable::read(&pages, now);
        if void.stale > 0 {
            self.problem(format!(
                "{} ignored: not confirmed by a run within {} minutes: run the collector every minute",
                counted(void.stale, "mark"),
                STALE.as_secs() / 60
            ));
        }
        if void.future > 0 {
            self.problem(format!(
                "{} ignored: dated in the future: compare the clocks of the API servers",
                counted(void.future, "mark")
            ));
        }
        if void.unreadable > 0 {
            self.problem(format!(
                "{} ignored: not readable in the ConfigMaps {CONFIG_MAP}*",
                counted(void.unreadable, "mark")
            ));
        }
        marks
    }

    /// Writes the marks for the next run. A run that another one was faster than drops its own.
    pub(super) async fn write_marks(
        &mut self,
        stored: Option<StoredMarks>,
        before: &MarkTable,
        marks: &MarkTable,
    ) -> Result<(), Stop> {
        self.summary.marks = marks.len();
        let (Some(StoredMarks(stored)), false) = (stored, self.options.dry_run) else {
            return Ok(());
        };
        let Some(now) = self.late_client.api.server_time() else {
            return Ok(());
        };
        let is_idle = stored.iter().all(|page| page.data.len() <= 1);
        if marks.is_empty() && before.is_empty() && is_idle {
            return Ok(());
        }
        let mut pages = marks.write(now);
        // What is not needed any more is emptied, and stands there for the next time.
        pages.resize_with(pages.len().max(stored.len()), Page::new);
        for (index, data) in pages.into_iter().enumerate() {
            self.go_on_late()?;
            let version = stored.get(index).and_then(|page| page.version.clone());
            let content = ConfigMapSnapshot { version, data };
            let name = name(index);
            let write = async || {
                let api = self.late_client.api;
                let namespace = &self.options.namespace;
                api.write_config_map(namespace, &name, &content).await
            };
            match self.late_client.retry(write).await {
                Ok(true) => {}
                // What the other run has written is as true.
                Ok(false) => return Ok(()),
                Err(error) => {
                    let namespace = &self.options.namespace;
                    let what = format!("ConfigMap {name} in namespace {namespace} was not written");
                    self.failed(what, error);
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

fn name(index: usize) -> String {
    match index {
        0 => CONFIG_MAP.to_owned(),
        more => format!("{CONFIG_MAP}-{}", more + 1),
    }
}
