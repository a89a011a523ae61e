//! Which messages of a folder are looked at, decided from what its server says and what we know.
//!
//! Where the numbering goes on, everything after the last UID is new. Where it does not (a new UIDVALIDITY, UIDs that went back,
//! our place lost, a server that tells no UIDVALIDITY), all that came since the connection is looked at again: mail that was
//! recorded is known by the listing or by its dedupe key, and mail from before the connection by the folder's snapshot. Where
//! there is no whole snapshot, times of arrival and dates must do; see [`Doubt`].

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Days, NaiveDate, SubsecRound, TimeDelta, Utc};
use postrider_shared::accounts::Account;
use postrider_shared::mail::{Coverage, Epoch, Numbering, Opened, Sighting, Snapshot};

use super::Trouble;
use super::folder::{BATCH, FOLDER};
use super::inbox::Inbox;
use super::message::Doubt;
use super::narrow::{self, MessageIds, Prints};
use crate::context::Context;
use crate::providers::imap::{ImapError, Listed, Selected, Since};

/// How far before the last look mail may have come that was not seen then: clocks differ, and servers file late.
const SLACK: TimeDelta = TimeDelta::hours(1);

/// Mail may be filed into the folder later than it came: by a rule, a collector, or a person who finds it among the spam. It is
/// read if it came at most this long before the connection, and did not lie in the folder then.
pub(super) const LATE: TimeDelta = TimeDelta::days(2);

/// So many mails that were moved in time at about the same moment were not moved one by one.
const CROWD: usize = 3;
const MOMENT_SECONDS: u64 = 600;

/// Where a run begins.
pub(super) struct Start {
    /// Its UIDVALIDITY is 0 for a server that tells none.
    pub(super) epoch: Epoch,
    /// When the run began to look.
    pub(super) looked_at: DateTime<Utc>,
    /// The server was found to number its messages anew by this run.
    pub(super) reset: bool,
    /// Messages below this UID may be old ones under new numbers.
    pub(super) doubt_below: i64,
    since: Since,
    /// Where the listing is by day: messages up to this UID were taken.
    after: u32,
    /// What arrived before is none of ours, but for what was filed [`LATE`].
    bound: DateTime<Utc>,
    /// The folder is read for the first time.
    pub(super) is_first: bool,
    /// What we know of old mail; read only where it may decide.
    snapshot: Snapshot,
    /// Whether a snapshot is to be taken now.
    pub(super) lacks_snapshot: bool,
}

/// A message to be taken.
pub(super) struct Unread {
    pub(super) listed: Listed,
    pub(super) doubt: Option<Doubt>,
    /// What comes of listing it.
    pub(super) broken: Option<ImapError>,
}

/// What a run is to do.
#[derive(Default)]
pub(super) struct Plan {
    /// To be taken, by ascending UID.
    pub(super) unread: Vec<Unread>,
    pub(super) known: u32,
    /// From before the mailbox was connected, or seen before.
    pub(super) old: u32,
    /// Those of them that are old by their time of arrival alone.
    pub(super) passed_over: Vec<u32>,
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

/// Which messages are old by what their header says.
#[derive(Default)]
struct Old {
    prints: HashSet<u32>,
    /// Those whose header breaks the answer.
    unseen: HashSet<u32>,
}

impl Plan {
    /// What is known of the time at which this message is said to have arrived. A restored mailbox gives one and the same moment
    /// to all of its mail, and goes on doing so.
    fn dates(&self, message: &Listed) -> Doubt {
        let at = message.received_at.map_or(0, |at| at.timestamp());
        let crowd = self.evidence.moved.iter().filter(|moved| moved.abs_diff(at) <= MOMENT_SECONDS).count();
        Doubt::Dates { times_kept: !self.evidence.uids.is_empty() && crowd < CROWD }
    }
}

impl Start {
    pub(super) async fn of(ctx: &Context, account: &Account, selected: &Selected) -> Result<Self, Trouble> {
        let looked_at = ctx.clock.now();
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
            epoch: Epoch { uid_validity: validity, epoch: cursor.epoch },
            looked_at,
            reset,
            doubt_below: cursor.doubt_below,
            since: Since::Uid(after.saturating_add(1)),
            after,
            // INTERNALDATE has whole seconds, so mail of the very second counts as new.
            bound: cursor.since.trunc_subsecs(0),
            is_first: is_first && cursor.doubt_below == 0,
            snapshot: Snapshot::none(),
            lacks_snapshot: cursor.snapshot == Coverage::Nothing && cursor.doubt_below == 0 && validity != 0,
        };
        if cursor.doubt_below > 0 {
            start.snapshot = ctx.mail.snapshot(account.tenant_id, account.id, FOLDER).await?;
        }
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
        if self.snapshot.coverage == Coverage::Whole {
            return Ok((self.bound - LATE).date_naive() - Days::new(1));
        }
        let known = ctx.mail.latest_received(account.tenant_id, account.id).await?;
        Ok(known.map_or(bound, |known| bound.min(known.date_naive() - Days::new(1))))
    }

    pub(super) async fn plan(
        &mut self,
        ctx: &Context,
        account: &Account,
        inbox: &mut Inbox<'_>,
    ) -> Result<Plan, Trouble> {
        let by_day = matches!(self.since, Since::Day(_));
        let answers = narrow::list(ctx, inbox, self.since, if by_day { usize::MAX } else { BATCH + 1 }).await?;
        let (mut broken, cut) = (answers.broken, answers.cut);
        let told: Vec<Listed> = answers.found.into_values().collect();
        let mut listed = told.clone();
        listed.extend(broken.keys().map(|uid| Listed { uid: *uid, size: None, received_at: None }));
        listed.sort_unstable_by_key(|listed| listed.uid);
        let last = listed.last().map_or(0, |listed| listed.uid);
        let mut plan = Plan { last, ..Plan::default() };
        if by_day {
            plan.evidence = self.known(ctx, account, inbox, &told).await?;
        } else {
            plan.more = listed.len() > BATCH;
            plan.last = listed.iter().take(BATCH).next_back().map_or(0, |listed| listed.uid);
        }
        let limit = if by_day { usize::MAX } else { BATCH };
        let old = self.known_as_old(ctx, account, inbox, &told, &plan).await?;
        for message in listed.into_iter().take(limit).filter(|listed| listed.uid > self.after) {
            if self.is_old(&message) {
                plan.old += 1;
                plan.passed_over.push(message.uid);
            } else if old.prints.contains(&message.uid) {
                plan.old += 1;
            } else if plan.evidence.uids.contains(&message.uid) {
                plan.known += 1;
            } else if plan.unread.len() == BATCH {
                plan.more = true;
                break;
            } else {
                let broken = broken.remove(&message.uid);
                let doubt = if broken.is_some() || old.unseen.contains(&message.uid) {
                    Some(Doubt::Dates { times_kept: false })
                } else {
                    self.is_in_doubt(&message).then(|| match self.snapshot.coverage {
                        Coverage::Whole => Doubt::Unseen,
                        Coverage::Newest | Coverage::Nothing => plan.dates(&message),
                    })
                };
                plan.unread.push(Unread { listed: message, doubt, broken });
            }
            if plan.unread.is_empty() {
                plan.passed = message.uid;
            }
        }
        match cut {
            // The next run would not come further.
            Some(error) if plan.unread.is_empty() && (self.epoch.uid_validity == 0 || plan.passed <= self.after) => {
                Err(error.into())
            }
            Some(_) => Ok(Plan { more: true, ..plan }),
            None => Ok(plan),
        }
    }

    /// Messages that lay in the folder when we began to read it: those in doubt, and those that came before the connection
    /// and were filed later, as which mail that was moved out and in again looks as well.
    async fn known_as_old(
        &mut self,
        ctx: &Context,
        account: &Account,
        inbox: &mut Inbox<'_>,
        listed: &[Listed],
        plan: &Plan,
    ) -> Result<Old, Trouble> {
        let asked = listed.iter().filter(|listed| {
            listed.uid > self.after
                && !self.is_old(listed)
                && !plan.evidence.uids.contains(&listed.uid)
                && (self.is_in_doubt(listed) || self.is_late(listed))
        });
        let asked: Vec<u32> = asked.map(|listed| listed.uid).collect();
        if asked.is_empty() {
            return Ok(Old::default());
        }
        if self.doubt_below == 0 {
            self.snapshot = ctx.mail.snapshot(account.tenant_id, account.id, FOLDER).await?;
        }
        let (prints, unseen) = match self.snapshot.coverage {
            Coverage::Nothing => (BTreeMap::new(), HashSet::new()),
            Coverage::Newest | Coverage::Whole => {
                let answers = narrow::ask_all(ctx, inbox, &Prints, &asked).await?;
                (answers.found, answers.broken.into_keys().collect())
            }
        };
        let was_there = |uid: u32| prints.get(&uid).is_some_and(|print| self.snapshot.contains(*print));
        // What is not known at all is judged by its time.
        let is_whole = self.snapshot.coverage == Coverage::Whole;
        let late = |uid: u32| listed.iter().any(|listed| listed.uid == uid && self.is_late(listed));
        let prints = asked.into_iter().filter(|uid| was_there(*uid) || !is_whole && late(*uid)).collect();
        Ok(Old { prints, unseen })
    }

    /// The messages that were recorded before, as far as the listing and their Message-IDs tell.
    async fn known(
        &self,
        ctx: &Context,
        account: &Account,
        inbox: &mut Inbox<'_>,
        listed: &[Listed],
    ) -> Result<Known, Trouble> {
        let times = || listed.iter().filter_map(|listed| listed.received_at);
        let (Some(first), Some(last)) = (times().min(), times().max()) else { return Ok(Known::default()) };
        // In doubt mail may be there under another time than it was recorded with.
        let in_doubt = self.doubt_below > 0;
        let first = if in_doubt { first.min(account.connected_at - LATE) } else { first };
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
        let ids = narrow::ask_all(ctx, inbox, &MessageIds, &uids).await?.found;
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

    fn is_in_doubt(&self, message: &Listed) -> bool {
        i64::from(message.uid) < self.doubt_below
    }

    /// From before the connection, and not filed so soon after it that it may still count.
    fn is_old(&self, message: &Listed) -> bool {
        let bound = if self.is_first || self.epoch.uid_validity == 0 { self.bound } else { self.bound - LATE };
        message.received_at.is_some_and(|at| at < bound)
    }

    fn is_late(&self, message: &Listed) -> bool {
        message.received_at.is_some_and(|at| at < self.bound)
    }

    /// The first day that the listing reaches back to: what came before is passed over without a look.
    pub(super) fn first_looked_at(&self) -> Option<NaiveDate> {
        match self.since {
            Since::Day(day) => Some(day),
            Since::Uid(_) => None,
        }
    }

    /// Whether a message of a folder without a snapshot is none to be read.
    pub(super) fn was_there(&self, message: &Listed) -> bool {
        message.uid <= self.after || self.is_late(message)
    }
}
