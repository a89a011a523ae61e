//! Which handler runs which kind of job.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;

use futures::future::BoxFuture;
use postrider_queue::{Job, JobKind, Outcome, Policies, Policy, Stop};

use crate::context::Context;

/// Does the work of a job. An error of any provider or store converts into [`Stop`], so handlers just use `?`.
pub trait Handler: Job {
    /// Runs one attempt. May run more than once for the same job, so it checks its own row first.
    fn run(self, ctx: &Context) -> impl Future<Output = Outcome> + Send;
}

type Run = fn(Vec<u8>, Context) -> BoxFuture<'static, Outcome>;

/// One kind as the runtime sees it.
#[derive(Clone)]
pub struct Registered {
    pub kind: JobKind,
    pub policy: Policy,
    pub run: Run,
}

/// All kinds this process can run, by every name they answer to.
#[derive(Default)]
pub struct Registry {
    by_name: BTreeMap<String, Registered>,
}

/// Two handlers want the same jobs: the process must not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is registered twice: as a name of {first} and of {second}")]
pub struct RegisteredTwice {
    pub name: String,
    pub first: JobKind,
    pub second: JobKind,
}

impl Registry {
    /// Adds a kind under its name and its aliases.
    pub fn add<J: Handler>(&mut self) -> Result<(), RegisteredTwice> {
        let registered = Registered { kind: J::KIND, policy: Policy::of::<J>(), run: run::<J> };
        for name in std::iter::once(J::KIND.as_str()).chain(J::ALIASES.iter().copied()) {
            match self.by_name.entry(name.to_owned()) {
                Slot::Vacant(slot) => {
                    slot.insert(registered.clone());
                }
                Slot::Occupied(slot) => {
                    let first = slot.get().kind.clone();
                    return Err(RegisteredTwice { name: name.to_owned(), first, second: J::KIND });
                }
            }
        }
        Ok(())
    }

    /// The kind of this name or alias.
    pub fn find(&self, name: &str) -> Option<&Registered> {
        self.by_name.get(name)
    }
}

impl Policies for Registry {
    fn of(&self, kind: &str) -> Option<Policy> {
        self.find(kind).map(|registered| registered.policy)
    }
}

fn run<J: Handler>(payload: Vec<u8>, ctx: Context) -> BoxFuture<'static, Outcome> {
    Box::pin(async move {
        let job: J = serde_json::from_slice(&payload)
            .map_err(|error| Stop::fail(format_args!("the payload does not decode as {}: {error}", J::KIND)))?;
        job.run(&ctx).await
    })
}

#[cfg(test)]
mod tests {
    use postrider_queue::{Done, Job, JobKind, Outcome, QueueName};
    use serde::{Deserialize, Serialize};

    use super::{Handler, Registry};
    use crate::context::Context;

    #[derive(Serialize, Deserialize)]
    struct Ship;
    impl Job for Ship {
        const KIND: JobKind = JobKind::new("ship");
        const ALIASES: &'static [&'static str] = &["send_parcel"];
        const QUEUE: QueueName = QueueName::new("test");
    }
    impl Handler for Ship {
        async fn run(self, _: &Context) -> Outcome {
            Ok(Done::empty())
        }
    }

    #[derive(Serialize, Deserialize)]
    struct SendParcel;
    impl Job for SendParcel {
        const KIND: JobKind = JobKind::new("send_parcel");
        const QUEUE: QueueName = QueueName::new("test");
    }
    impl Handler for SendParcel {
        async fn run(self, _: &Context) -> Outcome {
            Ok(Done::empty())
        }
    }

    #[test]
    fn a_name_taken_twice_is_named() {
        let mut registry = Registry::default();
        registry.add::<Ship>().unwrap();
        let alias_taken = registry.add::<SendParcel>().unwrap_err();
        assert_eq!(alias_taken.to_string(), "`send_parcel` is registered twice: as a name of ship and of send_parcel");
        assert_eq!(registry.add::<Ship>().unwrap_err().name, "ship");
        assert_eq!(registry.find("send_parcel").unwrap().kind, Ship::KIND);
    }
}
