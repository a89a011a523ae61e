//! What happens to the mails, told as it happens: each job's stages and progress, in plain words, with its id.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::time::sleep;

use crate::{
    business::Business,
    console::Console,
    http::{DemoError, Server, text},
    mails::Sample,
    words,
};

/// Between two looks. A person sees no difference, and the API is not busy with us.
const LOOK_EVERY: Duration = Duration::from_millis(40);

/// How it ended for one mail.
#[derive(Debug, Clone)]
pub enum Ending {
    /// The sandbox's SMTP server accepted a reply.
    Replied { accepted: Value, quote: Value },
    /// The product decided that it is not a request.
    Ignored { reason: String },
    /// A person must look at it; not what the samples are for.
    Stuck { reason: String },
    /// Nothing came of it in time.
    Waiting,
}

/// Follows the jobs until every mail has its ending, or `patience` is over.
pub struct Story<'a> {
    api: &'a Server,
    sandbox: &'a Server,
    samples: &'a [Sample],
    console: Console,
    began: Instant,
    /// Whether nothing was worth a line so far.
    silent: bool,
    /// What was last said of a job.
    told: HashMap<String, String>,
    /// Ids of mails, quotes and accounts, and what a person calls them.
    names: Vec<(String, String)>,
}

impl<'a> Story<'a> {
    pub fn new(business: &'a Business, sandbox: &'a Server, samples: &'a [Sample], console: Console) -> Self {
        Self {
            api: &business.api,
            sandbox,
            samples,
            console,
            began: Instant::now(),
            silent: true,
            told: HashMap::new(),
            names: Vec::new(),
        }
    }

    /// Jobs that ended before the mails were delivered are not part of the story.
    pub async fn skip_what_was(&mut self) -> Result<(), DemoError> {
        for job in self.api.list("/v1/jobs").await? {
            self.told.insert(text(&job, "id").to_owned(), stage(&job));
        }
        Ok(())
    }

    /// Whether nothing happened that was worth a line.
    pub fn is_silent(&self) -> bool {
        self.silent
    }

    pub async fn follow(&mut self, patience: Duration) -> Result<Vec<Ending>, DemoError> {
        loop {
            let jobs = self.newest_jobs().await?;
            // Asked for after the jobs, so that what a job is about is known when it is told.
            let mails = self.api.list("/v1/mails").await?;
            let quotes = self.api.list("/v1/quotes").await?;
            let messages = self.api.list("/v1/messages").await?;
            self.learn_names(&mails, &quotes, &messages);
            self.tell(&jobs);
            let endings = self.endings(&mails, &quotes).await?;
            let open = endings.iter().any(|ending| matches!(ending, Ending::Waiting));
            if !open || self.began.elapsed() > patience {
                // What ended between the two looks is told, too.
                let jobs = self.newest_jobs().await?;
                self.tell(&jobs);
                return Ok(endings);
            }
            sleep(LOOK_EVERY).await;
        }
    }

    fn learn_names(&mut self, mails: &[Value], quotes: &[Value], messages: &[Value]) {
        self.names.clear();
        for mail in mails {
            let Some(sample) = self.samples.iter().find(|sample| is_about(mail, sample)) else { continue };
            let name = format!("mail {}", sample.number);
            let mail = text(mail, "id").to_owned();
            for quote in quotes.iter().filter(|quote| text(quote, "mail_id") == mail) {
                let quote = text(quote, "id").to_owned();
                for message in messages.iter().filter(|message| text(message, "quote_id") == quote) {
                    self.names.push((text(message, "id").to_owned(), name.clone()));
                }
                self.names.push((quote, name.clone()));
            }
            self.names.push((mail, name));
        }
    }

    /// The tenant's newest jobs, oldest first.
    async fn newest_jobs(&self) -> Result<Vec<Value>, DemoError> {
        let page = self.api.get("/v1/jobs?limit=200").await?;
        let mut jobs = page["items"].as_array().cloned().unwrap_or_default();
        // A job that ended before another began is told first, whenever we looked; at the same instant, the one enqueued first.
        jobs.reverse();
        jobs.sort_by(|one, other| when(one).cmp(when(other)));
        Ok(jobs)
    }

    fn tell(&mut self, jobs: &[Value]) {
        for job in jobs {
            let id = text(job, "id").to_owned();
            let stage = stage(job);
            if self.told.get(&id) == Some(&stage) {
                continue;
            }
            if let Some(saying) = words::of(job, self.about(job)) {
                self.silent = false;
                self.console.event(self.began.elapsed().as_secs_f64(), &id, &saying);
            }
            self.told.insert(id, stage);
        }
    }

    /// Which mail a job is about. Its payload, unique key or output names the mail, its quote or the reply.
    fn about(&self, job: &Value) -> &str {
        let whole = job.to_string();
        self.names.iter().find(|(id, _)| whole.contains(id)).map_or("a mail", |(_, name)| name)
    }

    async fn endings(&self, mails: &[Value], quotes: &[Value]) -> Result<Vec<Ending>, DemoError> {
        let answer = self.sandbox.get("/control/accepted").await?;
        let accepted = answer.as_array().or_else(|| answer["items"].as_array()).cloned().unwrap_or_default();
        Ok(self.samples.iter().map(|sample| ending(sample, mails, quotes, &accepted)).collect())
    }
}

fn ending(sample: &Sample, mails: &[Value], quotes: &[Value], accepted: &[Value]) -> Ending {
    let Some(mail) = mails.iter().find(|mail| is_about(mail, sample)) else { return Ending::Waiting };
    let quote = quotes.iter().find(|quote| text(quote, "mail_id") == text(mail, "id"));
    let reply = accepted.iter().find(|reply| bare(text(reply, "in_reply_to")) == sample.message_id);
    match (text(mail, "state"), quote, reply) {
        (_, Some(quote), Some(reply)) if text(quote, "state") == "sent" => {
            Ending::Replied { accepted: reply.clone(), quote: quote.clone() }
        }
        ("ignored", _, None) => Ending::Ignored { reason: text(mail, "reason").to_owned() },
        ("failed", _, _) => Ending::Stuck { reason: text(mail, "reason").to_owned() },
        (_, Some(quote), _) if ["needs_review", "failed"].contains(&text(quote, "state")) => {
            Ending::Stuck { reason: text(quote, "reason").to_owned() }
        }
        _ => Ending::Waiting,
    }
}

fn is_about(mail: &Value, sample: &Sample) -> bool {
    bare(text(mail, "rfc_message_id")) == sample.message_id
}

fn bare(message_id: &str) -> &str {
    message_id.trim().trim_start_matches('<').trim_end_matches('>')
}

/// What distinguishes two looks at a job.
fn stage(job: &Value) -> String {
    format!("{} {} {}", text(job, "state"), job["attempt"], job["progress"])
}

/// When the last thing happened to a job; RFC 3339 in UTC, so that text order is time order.
fn when(job: &Value) -> &str {
    ["finished_at", "started_at", "enqueued_at"].iter().find_map(|field| job[*field].as_str()).unwrap_or_default()
}
