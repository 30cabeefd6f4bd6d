//! Where the hints of pools are kept.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::allocate::PoolHint;
use crate::ip::PoolName;
use crate::pool::Pool;

/// What is remembered of pools, by this call alone or by all of a node.
pub trait Hints {
    /// Changes the hint of a pool, while no other process does; one that was lost or cannot be read
    /// is a new one.
    fn edit<T>(&self, pool: &Pool, edit: impl FnOnce(&mut PoolHint) -> T) -> T;
}

/// The hints of one call: what is left where a node can keep none.
#[derive(Debug, Default)]
pub struct CallHints(RefCell<BTreeMap<PoolName, PoolHint>>);

impl Hints for CallHints {
    fn edit<T>(&self, pool: &Pool, edit: impl FnOnce(&mut PoolHint) -> T) -> T {
        edit(self.0.borrow_mut().entry(pool.name.clone()).or_default())
    }
}
