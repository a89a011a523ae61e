use postrider_queue::NewJob;

use super::{
    Amended, Amendment, Answered, Approved, By, Decision, ExpiryPlace, ExpiryStep, IssuedQuote, NewLine, NewQuote,
    PricedQuote, Quote, QuoteEvent, QuoteFilter, QuoteLine, RenderedQuote, Repeat, Revised, Revision, conversation,
    event, issued, life, line, list, repeat, steps,
};
use crate::{
    clock::Clock,
    database::{AllTenants, Cursor, Database, Page, StoreError},
    ids::{MailId, QuoteId, TenantId, ThreadId},
    mail::{self, InboundMail, Reading, Settled},
};

/// Whether a quote was made, or had been made from the same mail before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreatedQuote {
    New(Quote),
    Exists(Quote),
    /// The mail says again what another one said, which this quote answers; none was made.
    Repeats(Quote),
}

impl CreatedQuote {
    /// The quote.
    pub fn quote(&self) -> &Quote {
        match self {
            Self::New(quote) | Self::Exists(quote) | Self::Repeats(quote) => quote,
        }
    }
}

/// What became of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The quote took it.
    Taken(Quote),
    /// It was in another state or revision, and stays as it is: this one.
    NotTaken(Quote),
}

impl Step {
    /// The quote as it is now.
    pub fn quote(&self) -> &Quote {
        match self {
            Self::Taken(quote) | Self::NotTaken(quote) => quote,
        }
    }

    /// Whether this call changed it.
    pub fn is_taken(&self) -> bool {
        matches!(self, Self::Taken(_))
    }
}

/// The tables of quotes and their lines.
#[derive(Clone)]
pub struct Quotes {
    database: Database,
    clock: Clock,
}

impl Quotes {
    pub fn new(database: Database, clock: Clock) -> Self {
        Self { database, clock }
    }

    /// Makes the one quote of a mail, as draft or for review, and marks the mail as extracted, in one transaction.
    /// [`StoreError::Conflict`] if the mail had come to something else: of several runs that read it, one decides.
    pub async fn create(&self, tenant: TenantId, new: NewQuote) -> Result<CreatedQuote, StoreError> {
        let tx = self.database.write().await?;
        let created = steps::create(&tx, self.clock.now(), tenant, new).await?;
        tx.commit().await?;
        Ok(created)
    }

    pub async fn get(&self, tenant: TenantId, id: QuoteId) -> Result<Quote, StoreError> {
        steps::find(self.database.reader(), tenant, id).await
    }

    /// The quote's lines in their order.
    pub async fn lines(&self, tenant: TenantId, id: QuoteId) -> Result<Vec<QuoteLine>, StoreError> {
        line::of_quote(self.database.reader(), tenant, id).await
    }

    /// A tenant's quotes, newest first.
    pub async fn list(
        &self,
        tenant: TenantId,
        filter: QuoteFilter,
        cursor: Option<Cursor>,
        limit: u64,
    ) -> Result<Page<Quote>, StoreError> {
        list::list(&self.database, tenant, filter, cursor, limit).await
    }

    /// `draft` → `priced`.
    pub async fn price(
        &self,
        tenant: TenantId,
        id: QuoteId,
        revision: u32,
        priced: PricedQuote,
    ) -> Result<Step, StoreError> {
        let tx = self.database.write().await?;
        let step = steps::price(&tx, self.clock.now(), (tenant, id, revision), priced).await?;
        tx.commit().await?;
        Ok(step)
    }

    /// `draft` or `priced` → `needs_review`, with what a person must look at.
    pub async fn review(&self, tenant: TenantId, id: QuoteId, revision: u32, reason: &str) -> Result<Step, StoreError> {
        let tx = self.database.write().await?;
        let step = steps::review(&tx, self.clock.now(), (tenant, id, revision), reason).await?;
        tx.commit().await?;
        Ok(step)
    }

    /// `needs_review` → `draft`, under the next revision, with the lines a person gave or the ones it has; `job` (its `price_quote`)
    /// goes to the outbox in the same transaction. [`StoreError::Conflict`] if the quote is not in review.
    pub async fn approve(
        &self,
        tenant: TenantId,
        id: QuoteId,
        lines: Option<Vec<NewLine>>,
        by: &By,
        job: &NewJob,
    ) -> Result<Approved, StoreError> {
        let tx = self.database.write().await?;
        tx.watch(steps::row(tenant, id)).await?;
        let approved = steps::approve(&tx, self.clock.now(), (tenant, id), lines, by, job).await?;
        tx.commit().await?;
        Ok(approved)
    }

    /// The quote's number as customers see it. The first call takes the tenant's next one; repeats give the same, so retries leave no gap.
    pub async fn number(&self, tenant: TenantId, id: QuoteId) -> Result<String, StoreError> {
        let tx = self.database.write().await?;
        let number = steps::number(&tx, (tenant, id)).await?;
        tx.commit().await?;
        Ok(number)
    }

    /// `priced` → `rendered`, and the reply is planned in the send ledger and known to its thread, in one transaction. Or `priced` →
    /// `needs_review`, if no person approved this revision and its customer, or its thread, got as many automatic replies as may be.
    pub async fn render(
        &self,
        tenant: TenantId,
        id: QuoteId,
        revision: u32,
        rendered: RenderedQuote,
    ) -> Result<Step, StoreError> {
        let tx = self.database.write().await?;
        let step = steps::render(&tx, self.clock.now(), (tenant, id, revision), rendered).await?;
        tx.commit().await?;
        Ok(step)
    }

    /// Any state before `sending` → `failed`.
    pub async fn fail(&self, tenant: TenantId, id: QuoteId, revision: u32, reason: &str) -> Result<Step, StoreError> {
        let tx = self.database.write().await?;
        let step = steps::fail(&tx, self.clock.now(), (tenant, id, revision), reason).await?;
        tx.commit().await?;
        Ok(step)
    }

    /// `sent` (or `sending`) → `accepted` or `declined`: what the customer said to this revision, or to the one that is there.
    /// [`Step::NotTaken`] if it was decided, replaced or over before, whatever came first; past its last day it expires instead.
    pub async fn decide(
        &self,
        tenant: TenantId,
        id: QuoteId,
        revision: Option<u32>,
        decision: Decision,
        by: &By,
    ) -> Result<Step, StoreError> {
        let tx = self.database.write().await?;
        tx.watch(steps::row(tenant, id)).await?;
        let step = life::decide(&tx, self.clock.now(), (tenant, id), revision, decision, by).await?;
        tx.commit().await?;
        Ok(step)
    }

    /// Puts the next revision in the quote's place: to `draft`, with its `price_quote` in the outbox, or to `needs_review`. What the
    /// customer was sent before is kept. [`StoreError::Conflict`] once it is accepted, and while a reply is on its way.
    pub async fn revise(
        &self,
        tenant: TenantId,
        id: QuoteId,
        revision: Revision,
        job: &NewJob,
    ) -> Result<Revised, StoreError> {
        let tx = self.database.write().await?;
        tx.watch(steps::row(tenant, id)).await?;
        let revised = life::revise(&tx, self.clock.now(), (tenant, id), revision, &life::REVISABLE, job).await?;
        tx.commit().await?;
        Ok(revised)
    }

    /// Puts the revision that a mail of its conversation asks for in the quote's place, and settles the mail, in one transaction. A mail
    /// makes one revision, however often this is called. [`StoreError::Conflict`] if the mail had come to something else.
    pub async fn amend(&self, tenant: TenantId, amendment: Amendment) -> Result<Amended, StoreError> {
        let tx = self.database.write().await?;
        let amended = conversation::amend(&tx, self.clock.now(), tenant, amendment).await?;
        tx.commit().await?;
        Ok(amended)
    }

    /// What a customer says by a mail about the revision that it answers; the mail is settled in the same transaction.
    /// [`StoreError::Conflict`] if it had come to something else.
    pub async fn answer(&self, tenant: TenantId, answered: Answered) -> Result<Amended, StoreError> {
        let tx = self.database.write().await?;
        let amended = conversation::answer(&tx, self.clock.now(), tenant, answered).await?;
        tx.commit().await?;
        Ok(amended)
    }

    /// What a mail with this fingerprint repeats, as far as it is known by now.
    pub async fn repeats(&self, mail: &InboundMail, fingerprint: &str) -> Result<Option<Repeat>, StoreError> {
        repeat::known(self.database.reader(), fingerprint, mail).await
    }

    /// What somebody repeats who says again what this mail said; `None` if it came to nothing.
    pub async fn repeat_of(&self, tenant: TenantId, mail: MailId) -> Result<Option<Repeat>, StoreError> {
        repeat::of(self.database.reader(), tenant, mail).await
    }

    /// Notes that a mail says again what another one said, which this quote answers; unless it had come to something before.
    pub async fn repeated(
        &self,
        tenant: TenantId,
        mail: MailId,
        original: (MailId, QuoteId),
        reading: Reading,
    ) -> Result<Settled<InboundMail>, StoreError> {
        let tx = self.database.write().await?;
        let settled = repeat::settle(&tx, self.clock.now(), (tenant, mail), original, reading).await?;
        let mail = mail::find(tx.connection(), tenant, mail).await?;
        tx.commit().await?;
        Ok(if settled { Settled::Now(mail) } else { Settled::Before(mail) })
    }

    /// Leaves a mail to a person, and notes it in the history of the quote that it is about; the quote stays as it is. Unless the mail
    /// had come to something before.
    pub async fn refer(
        &self,
        tenant: TenantId,
        mail: MailId,
        quote: Option<QuoteId>,
        reading: Reading,
        reason: &str,
    ) -> Result<Settled<InboundMail>, StoreError> {
        let tx = self.database.write().await?;
        let settled = conversation::refer(&tx, self.clock.now(), (tenant, mail), quote, reading, reason).await?;
        tx.commit().await?;
        Ok(settled)
    }

    /// A thread's quotes, newest first, at most 20.
    pub async fn of_thread(&self, tenant: TenantId, thread: ThreadId) -> Result<Vec<Quote>, StoreError> {
        conversation::of_thread(self.database.reader(), tenant, thread).await
    }

    /// The Message-IDs under which the quote's revisions went out, or are to, the newest revision first.
    pub async fn carriers(&self, quote: &Quote) -> Result<Vec<(u32, Vec<String>)>, StoreError> {
        conversation::carriers(self.database.reader(), quote).await
    }

    /// Offers a quote again that is `sent`, `declined` or `expired`: the same lines, priced anew, with a new last day.
    pub async fn renew(&self, tenant: TenantId, id: QuoteId, by: By, job: &NewJob) -> Result<Revised, StoreError> {
        let revision = Revision { lines: None, review: None, by };
        let tx = self.database.write().await?;
        tx.watch(steps::row(tenant, id)).await?;
        let revised = life::revise(&tx, self.clock.now(), (tenant, id), revision, &life::RENEWABLE, job).await?;
        tx.commit().await?;
        Ok(revised)
    }

    /// One step of the walk over all quotes whose last day is over.
    pub async fn expire_due(
        &self,
        _: AllTenants,
        after: Option<ExpiryPlace>,
        limit: u64,
    ) -> Result<ExpiryStep, StoreError> {
        life::expire_due(&self.database, self.clock.now(), after, limit).await
    }

    /// What happened to the quote, oldest first; at most the first thousand changes.
    pub async fn events(&self, tenant: TenantId, id: QuoteId) -> Result<Vec<QuoteEvent>, StoreError> {
        event::of_quote(self.database.reader(), tenant, id).await
    }

    /// What the customer was sent before the quote's own revision, oldest first.
    pub async fn issued(&self, tenant: TenantId, id: QuoteId) -> Result<Vec<IssuedQuote>, StoreError> {
        issued::of_quote(self.database.reader(), tenant, id).await
    }
}
