//! Which messages of a folder are looked at, decided from what its server says and what we know.
//!
//! Where the numbering goes on, everything after the last UID is new. Where it does not (a new UIDVALIDITY, UIDs that went back,
//! our place lost, a server that tells no UIDVALIDITY), the time of arrival decides where to begin, and what is known is told by
//! the listing or by its dedupe key. Old mail from before the connection is not known; see [`Doubt`].

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Days, NaiveDate, SubsecRound, TimeDelta, Utc};
use postrider_shared::accounts::Account;
use postrider_shared::mail::{Numbering, Opened, Sighting};

use super::Trouble;
use super::folder::{BATCH, FOLDER};
use super::message::Doubt;
use crate::context::Context;
use crate::providers::imap::{Listed, Selected, Session, Since};

/// How far before the last look mail may have come that was not seen then: clocks differ, and servers file late.
const SLACK: TimeDelta = TimeDelta::hours(1);

/// So many mails that were moved in time at about the same moment were not moved one by one.
const CROWD: usize = 3;
const MOMENT_SECONDS: u64 = 600;

/// Where a run begins.
pub(super) struct Start {
    /// 0 for a server that tells none.
    pub(super) validity: u32,
    /// The server was found to number its messages anew by this run.
    pub(super) reset: bool,
    /// Messages below this UID may be old ones under new numbers.
    pub(super) doubt_below: i64,
    since: Since,
    /// Where the listing is by day: messages up to this UID were taken.
    after: u32,
    /// What arrived before is none of ours.
    bound: DateTime<Utc>,
}

/// What a run is to do.
pub(super) struct Plan {
    /// To be taken, by ascending UID.
    pub(super) unread: Vec<Listed>,
    pub(super) known: u32,
    /// From before the mailbox was connected, or seen before.
    pub(super) old: u32,
    /// All messages up to this UID are known already.
    pub(super) passed: u32,
    /// The highest UID that was listed.
    pub(super) last: u32,
    /// There are more than one run takes.
    pub(super) more: bool,
    evidence: Known,
}

/// What the listing shows of mail that was recorded.
#[derive(Default)]
struct Known {
    uids: HashSet<u32>,
    /// Times of arrival, in seconds since 1970, of mail that was recorded with others.
    moved: Vec<i64>,
}

impl Plan {
    /// What is known of the time at which this message is said to have arrived. A restored mailbox gives one and the same moment
    /// to all of its mail, and goes on doing so.
    pub(super) fn doubt(&self, message: &Listed) -> Doubt {
        let at = message.received_at.map_or(0, |at| at.timestamp());
        let crowd = self.evidence.moved.iter().filter(|moved| moved.abs_diff(at) <= MOMENT_SECONDS).count();
        Doubt { times_kept: !self.evidence.uids.is_empty() && crowd < CROWD }
    }
}

impl Start {
    pub(super) async fn of(ctx: &Context, account: &Account, selected: &Selected) -> Result<Self, Trouble> {
        let validity = selected.uid_validity.unwrap_or_default();
        let numbering = Numbering { uid_validity: validity, uid_next: selected.uid_next };
        let opened = ctx.mail.open_folder(account.tenant_id, account.id, FOLDER, numbering).await?;
        let reset = matches!(opened, Opened::Reset { .. });
        if reset {
            metrics::counter!("postrider_mailbox_resets_total").increment(1);
            tracing::warn!(event = "mailbox_reset", account.id = %account.id, "its server numbers messages anew");
            ctx.log("mailbox_reset: the server numbers its messages anew; what is known is not read again").await;
        }
        let is_first = matches!(opened, Opened::First(_));
        let cursor = opened.cursor();
        let after = u32::try_from(cursor.last_uid).unwrap_or(u32::MAX);
        let mut start = Self {
            validity,
            reset,
            doubt_below: cursor.doubt_below,
            since: Since::Uid(after.saturating_add(1)),
            after,
            // INTERNALDATE has whole seconds, so mail of the very second counts as new.
            bound: cursor.since.trunc_subsecs(0),
        };
        if validity == 0 {
            // Numbers without a validity may mean anything: each look goes by the time since the last one.
            start.after = 0;
            start.bound = start.bound.max(cursor.last_polled_at.map_or(start.bound, |time| time - SLACK));
        }
        if validity == 0 || is_first || cursor.doubt_below > 0 {
            start.since = Since::Day(start.first_day(ctx, account).await?);
        }
        Ok(start)
    }

    /// Servers search by whole days, in their own time zone. Where numbers are in doubt the listing reaches back to a mail that is
    /// known, if there is one, because it shows whether times of arrival were kept.
    async fn first_day(&self, ctx: &Context, account: &Account) -> Result<NaiveDate, Trouble> {
        let bound = self.bound.date_naive() - Days::new(1);
        if self.doubt_below == 0 {
            return Ok(bound);
        }
        let known = ctx.mail.latest_received(account.tenant_id, account.id).await?;
        Ok(known.map_or(bound, |known| bound.min(known.date_naive() - Days::new(1))))
    }

    pub(super) async fn plan(&self, ctx: &Context, account: &Account, session: &mut Session) -> Result<Plan, Trouble> {
        let by_day = matches!(self.since, Since::Day(_));
        let listed = session.list(self.since, if by_day { usize::MAX } else { BATCH + 1 }).await?;
        let last = listed.last().map_or(0, |listed| listed.uid);
        let evidence = Known::default();
        let mut plan = Plan { unread: Vec::new(), known: 0, old: 0, passed: 0, last, more: false, evidence };
        if !by_day {
            plan.more = listed.len() > BATCH;
            plan.unread = listed;
            plan.unread.truncate(BATCH);
            plan.last = plan.unread.last().map_or(0, |listed| listed.uid);
            return Ok(plan);
        }
        plan.evidence = self.known(ctx, account, session, &listed).await?;
        for message in listed.into_iter().filter(|listed| listed.uid > self.after) {
            if self.is_old(&message) {
                plan.old += 1;
            } else if plan.evidence.uids.contains(&message.uid) {
                plan.known += 1;
            } else if plan.unread.len() == BATCH {
                plan.more = true;
                break;
            } else {
                plan.unread.push(message);
            }
            if plan.unread.is_empty() {
                plan.passed = message.uid;
            }
        }
        Ok(plan)
    }

    /// The messages that were recorded before, as far as the listing and their Message-IDs tell.
    async fn known(
        &self,
        ctx: &Context,
        account: &Account,
        session: &mut Session,
        listed: &[Listed],
    ) -> Result<Known, Trouble> {
        let times = || listed.iter().filter_map(|listed| listed.received_at);
        let (Some(first), Some(last)) = (times().min(), times().max()) else { return Ok(Known::default()) };
        // In doubt mail may be there under another time than it was recorded with.
        let in_doubt = self.doubt_below > 0;
        let first = if in_doubt { first.min(account.connected_at - SLACK) } else { first };
        let last = if in_doubt { last.max(ctx.clock.now()) } else { last };
        let between = (first, last + TimeDelta::seconds(1));
        let mut recorded: HashMap<Sighting, usize> = HashMap::new();
        let (mut looks, mut sizes, mut names) = (HashSet::new(), HashSet::new(), HashSet::new());
        for sighting in ctx.mail.sightings(account.tenant_id, account.id, between).await? {
            looks.insert((sighting.received_at, sighting.size));
            sizes.insert(sighting.size);
            names.insert((sighting.size, sighting.rfc_message_id.clone()));
            *recorded.entry(sighting).or_default() += 1;
        }
        let look = |listed: &Listed| Some((listed.received_at?.timestamp(), i64::from(listed.size?)));
        let alike = listed.iter().filter(|listed| {
            look(listed).is_some_and(|look| if in_doubt { sizes.contains(&look.1) } else { looks.contains(&look) })
        });
        let alike: Vec<&Listed> = alike.collect();
        let uids: Vec<u32> = alike.iter().map(|listed| listed.uid).collect();
        let ids = session.message_ids(&uids).await?;
        let mut known = Known::default();
        let mut there: HashMap<Sighting, Vec<u32>> = HashMap::new();
        for listed in alike {
            let (Some((received_at, size)), Some(id)) = (look(listed), ids.get(&listed.uid)) else { continue };
            let sighting = Sighting { received_at, size, rfc_message_id: id.clone() };
            there.entry(sighting).or_default().push(listed.uid);
        }
        // A second copy of a mail has another time as well, but then the first is where it was.
        let in_place: HashSet<(i64, &str)> = there
            .keys()
            .filter(|sighting| recorded.contains_key(*sighting))
            .map(|sighting| (sighting.size, sighting.rfc_message_id.as_str()))
            .collect();
        let moved = there.keys().filter(|sighting| {
            let name = (sighting.size, sighting.rfc_message_id.as_str());
            names.contains(&(name.0, name.1.to_owned())) && !in_place.contains(&name)
        });
        known.moved = moved.map(|sighting| sighting.received_at).collect();
        // Mails that look the same are known only if as many of them were recorded as are there.
        let same =
            there.into_iter().filter(|(sighting, uids)| recorded.get(sighting).is_some_and(|n| *n >= uids.len()));
        known.uids = same.flat_map(|(_, uids)| uids).collect();
        Ok(known)
    }

    pub(super) fn is_in_doubt(&self, message: &Listed) -> bool {
        i64::from(message.uid) < self.doubt_below
    }

    pub(super) fn is_old(&self, message: &Listed) -> bool {
        message.received_at.is_some_and(|at| at < self.bound)
    }
}
