//! What there is, and the choice of what is done next.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};

use super::{Dice, sessions::Worker};
use crate::{
    batch::BatchId,
    client::QueueClient,
    id::JobId,
    job::NewJob,
    lane::Lane,
    leaping::Server,
    name::{LaneName, QueueName, ScopeKey, Tenant},
};

pub(super) const QUEUES: [QueueName; 2] = [QueueName::new("work"), QueueName::new("more")];
pub(super) const TENANTS: [&str; 3] = ["acme", "acme-two", "b*d"];
pub(super) const SCOPES: usize = 3;
/// Lanes by the scopes they name.
pub(super) const LANES: [&[usize]; 6] = [&[], &[0], &[1], &[2], &[0, 1], &[2, 1, 0]];
/// Where the check notes who ended.
pub(super) const ENDED: &str = "{pr:0}:ended";
pub(super) const START: i64 = 1_767_225_600;

/// What is known of a job from outside.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) job: Option<NewJob>,
    pub(super) completed: u32,
    pub(super) forgotten: bool,
}

pub(super) struct World<'a> {
    pub(super) server: &'a Server,
    pub(super) client: &'a QueueClient,
    pub(super) dice: Dice,
    /// Seconds since the beginning.
    pub(super) now: i64,
    pub(super) made: u64,
    pub(super) jobs: BTreeMap<JobId, Known>,
    pub(super) batches: Vec<(Tenant, BatchId)>,
    pub(super) workers: [Worker; 3],
    pub(super) tokens: u64,
    pub(super) steps: Vec<String>,
    /// A tenant is about to be forgotten: half of what it had is gone.
    pub(super) forgetting: bool,
    /// Jobs in flight that a scope allows.
    pub(super) flights: BTreeMap<(String, usize), u64>,
    check: &'static str,
}

pub(super) fn failed(error: impl std::fmt::Display) -> String {
    format!("a call failed: {error}")
}

pub(super) fn scope(number: usize) -> ScopeKey {
    ScopeKey::parse(format!("scope:{number}")).unwrap()
}

pub(super) fn lane(number: usize) -> Lane {
    let scopes = LANES[number].iter().map(|number| scope(*number)).collect();
    Lane::with_scopes(LaneName::parse(format!("lane{number}")).unwrap(), scopes)
}

impl<'a> World<'a> {
    pub(super) async fn begin(server: &'a Server, client: &'a QueueClient, seed: u64) -> Self {
        let world = Self {
            server,
            client,
            dice: Dice::of(seed),
            now: 0,
            made: seed << 32,
            jobs: BTreeMap::new(),
            batches: Vec::new(),
            workers: Default::default(),
            tokens: 0,
            steps: Vec::new(),
            forgetting: false,
            flights: BTreeMap::new(),
            check: include_str!("../../tests/consistent.lua"),
        };
        let _: redis::Value = client.link().at(0).unwrap().command(&redis::cmd("FLUSHALL")).await.unwrap();
        world.show_time();
        world
    }

    pub(super) fn instant(&self, ahead: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(START + self.now + ahead, 0).unwrap()
    }

    pub(super) fn show_time(&self) {
        self.server.stand_still(&self.instant(0).format("%Y-%m-%d %H:%M:%S").to_string());
    }

    pub(super) fn tenant(&mut self) -> Tenant {
        Tenant::parse(*self.dice.of_list(&TENANTS)).unwrap()
    }

    pub(super) fn some_job(&mut self) -> Option<JobId> {
        let many = self.jobs.len();
        if many == 0 {
            return None;
        }
        // Rather a new one.
        let at = if self.dice.odds(50) { many - 1 - self.dice.below(many.min(12)) } else { self.dice.below(many) };
        self.jobs.keys().nth(at).copied()
    }

    pub(super) fn told(&mut self, what: impl Into<String>) {
        self.steps.push(what.into());
    }

    pub(super) async fn all(&mut self, steps: u64) -> Result<(), String> {
        for tenant in TENANTS {
            for number in 0..SCOPES {
                self.define(&Tenant::parse(tenant).unwrap(), number).await?;
            }
        }
        for _ in 0..steps {
            self.step().await?;
            self.check().await?;
        }
        self.end().await
    }

    pub(super) async fn check(&self) -> Result<(), String> {
        if self.forgetting {
            return Ok(());
        }
        let mut command = redis::cmd("EVAL");
        command.arg(self.check).arg(2).arg("{pr:0}:1:jobs").arg(ENDED);
        let wrong: Vec<Vec<u8>> = self.client.link().at(0).map_err(failed)?.command(&command).await.map_err(failed)?;
        if wrong.is_empty() {
            return Ok(());
        }
        Err(wrong.iter().map(|line| line.escape_ascii().to_string()).collect::<Vec<_>>().join("\n"))
    }

    async fn step(&mut self) -> Result<(), String> {
        match self.dice.below(100) {
            0..22 => self.enqueue().await,
            22..50 => {
                let worker = self.dice.below(3);
                self.turn(worker).await
            }
            50..53 => {
                let worker = self.dice.below(3);
                self.suspect(worker).await
            }
            53..56 => self.end_worker().await,
            56..59 => self.report().await,
            59..72 => {
                let seconds = *self.dice.of_list(&[0, 0, 1, 1, 2, 5, 9, 20, 700, 4000, 90_000, 864_000]);
                self.pass(seconds).await
            }
            72..75 => self.cancel().await,
            75..77 => self.promote().await,
            77..79 => self.redrive_or_archive().await,
            79..83 => self.batch().await,
            _ => self.control().await,
        }
    }

    pub(super) async fn pass(&mut self, seconds: i64) -> Result<(), String> {
        self.told(format!("{seconds} s pass"));
        let began = self.now;
        while self.now < began + seconds {
            // Workers keep beating, unless it is long.
            let by = if seconds > 30 && self.now == began { seconds - 10 } else { 1 };
            self.now += by;
            self.show_time();
            self.beat_all().await?;
            self.tick().await?;
            self.check().await?;
        }
        if seconds == 0 {
            self.tick().await?;
        }
        Ok(())
    }

    pub(super) async fn tick(&mut self) -> Result<(), String> {
        for _ in 0..20 {
            if !self.client.tick().await.map_err(failed)?.more {
                break;
            }
            self.check().await?;
        }
        Ok(())
    }

    pub(super) fn keep(&mut self) -> Duration {
        Duration::from_secs(*self.dice.of_list(&[1, 10, 60, 3600]))
    }
}
