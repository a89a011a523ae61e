//! Rows that are looked at with every request, kept in the process for a moment.
//!
//! At most so many and for so long; what this process changes it forgets at once, also if it is being read at that very moment.
//! Other processes see a change when their copy has aged.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// More than the keys in use at a time; a full one is emptied of what has aged, or wholly.
const MOST: usize = 10_000;

/// Copies of rows by what they are looked up by. Clones share them.
pub(crate) struct Brief<K, V> {
    kept: Arc<Mutex<Kept<K, V>>>,
    age: Duration,
}

struct Kept<K, V> {
    rows: HashMap<K, (Instant, V)>,
    /// How often something was forgotten.
    changes: u64,
}

/// A read that began when so many changes had been made.
#[derive(Clone, Copy)]
pub(crate) struct Reading(u64);

impl<K: Eq + Hash, V: Clone> Brief<K, V> {
    pub(crate) fn new(age: Duration) -> Self {
        Self { kept: Arc::new(Mutex::new(Kept { rows: HashMap::new(), changes: 0 })), age }
    }

    pub(crate) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: std::borrow::Borrow<Q>,
    {
        let kept = self.lock();
        let (read_at, row) = kept.rows.get(key)?;
        (read_at.elapsed() < self.age).then(|| row.clone())
    }

    /// To be called before the database is read.
    pub(crate) fn begin(&self) -> (Reading, Instant) {
        (Reading(self.lock().changes), Instant::now())
    }

    /// Keeps what was read, unless something was forgotten since.
    pub(crate) fn keep(&self, (reading, began): (Reading, Instant), key: K, row: V) {
        let mut kept = self.lock();
        if kept.changes == reading.0 {
            self.insert(&mut kept, key, began, row);
        }
    }

    /// Keeps a row unless there is one. Whether it was kept: of several callers at once, one is told so.
    pub(crate) fn claim(&self, key: K, row: V) -> bool {
        let mut kept = self.lock();
        if kept.rows.get(&key).is_some_and(|(since, _)| since.elapsed() < self.age) {
            return false;
        }
        self.insert(&mut kept, key, Instant::now(), row);
        true
    }

    /// Forgets the rows that match. To be called after the change was committed.
    pub(crate) fn forget(&self, matches: impl Fn(&K, &V) -> bool) {
        let mut kept = self.lock();
        kept.changes += 1;
        kept.rows.retain(|key, (_, row)| !matches(key, row));
    }

    fn insert(&self, kept: &mut Kept<K, V>, key: K, since: Instant, row: V) {
        if kept.rows.len() >= MOST {
            kept.rows.retain(|_, (since, _)| since.elapsed() < self.age);
        }
        if kept.rows.len() >= MOST {
            kept.rows.clear();
        }
        kept.rows.insert(key, (since, row));
    }

    fn lock(&self) -> MutexGuard<'_, Kept<K, V>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, V> Clone for Brief<K, V> {
    fn clone(&self) -> Self {
        Self { kept: Arc::clone(&self.kept), age: self.age }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGE: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_row_is_kept_for_its_age_from_when_it_was_read() {
        let brief = Brief::new(AGE);
        let reading = brief.begin();
        tokio::time::advance(AGE / 2).await;
        brief.keep(reading, 1, "row");
        assert_eq!(brief.get(&1), Some("row"));
        tokio::time::advance(AGE / 2).await;
        assert_eq!(brief.get(&1), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_read_before_a_change_is_not_kept_after_it() {
        let brief = Brief::new(AGE);
        let reading = brief.begin();
        brief.forget(|key, _| *key == 1);
        brief.keep(reading, 1, "old");
        assert_eq!(brief.get(&1), None);
        brief.keep(brief.begin(), 1, "new");
        brief.forget(|key, _| *key == 2);
        assert_eq!(brief.get(&1), Some("new"));
        brief.forget(|_, row| *row == "new");
        assert_eq!(brief.get(&1), None);
    }

    #[tokio::test(start_paused = true)]
    async fn it_never_holds_more_than_it_may() {
        let brief = Brief::new(AGE);
        for number in 0..3 * MOST {
            brief.keep(brief.begin(), number, ());
            assert!(brief.lock().rows.len() <= MOST);
        }
        assert!(brief.get(&(3 * MOST - 1)).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn one_of_many_claims_a_moment() {
        let brief = Brief::new(AGE);
        assert!(brief.claim(1, ()) && !brief.claim(1, ()) && brief.claim(2, ()));
        tokio::time::advance(AGE).await;
        assert!(brief.claim(1, ()));
    }
}
