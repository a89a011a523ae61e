//! What can go wrong, at which server and at which stage.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    Smtp,
    Imap,
    Llm,
    Gmail,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// Answers late, by `ms`.
    Latency,
    /// Ends the connection without a word.
    Close,
    /// Says nothing more until the client goes.
    Hang,
    /// Ends the connection with TCP RST.
    Reset,
    #[serde(rename = "reject_4xx")]
    Reject4xx,
    #[serde(rename = "reject_5xx")]
    Reject5xx,
    /// Records the message as accepted, then TCP RST instead of the 250.
    ResetAfterAccept,
    /// `550 5.4.5`, as Gmail says it.
    DailyLimit,
    /// `NO [AUTHENTICATIONFAILED]` to a right password.
    LoginNo,
    /// SELECT lies about UIDVALIDITY, this once.
    WrongUidvalidity,
    /// The folder really gets a new UIDVALIDITY and new uids.
    UidReset,
    /// FETCH announces a literal shorter than what follows, and goes on with rubbish; at `entry`, rubbish instead of the size.
    GarbageLiteral,
    /// FETCH announces a literal of 8 GiB, sends 128 MiB of it and falls silent.
    HugeLiteral,
    /// FETCH and SELECT leave out what was asked for; a search or a thread of Gmail's does not know of it yet.
    MissingFields,
    /// Of IMAP, `NO [SERVERBUG]`.
    Refusal,
    /// The answer stops in the middle: `finish_reason: length`.
    Cut,
    MalformedJson,
    /// Well-formed JSON of another shape.
    NotInSchema,
    /// An item with words and a product that the mail and the request do not have.
    Invented,
    /// 429 `rate_limit_exceeded` with Retry-After; of IMAP, `NO [LIMIT]` to a login.
    RateLimit,
    /// 429 `insufficient_quota`.
    InsufficientQuota,
    /// 429 whose `code` is a number, as some gateways write it.
    NumericCode,
    /// 500, or the status in `reply`.
    #[serde(alias = "5xx")]
    ServerError,
    /// 502, or for Gmail the status in `reply`, with a page of HTML.
    NotJson,
}

/// A point of a conversation. At `accepted` the message is recorded and its 250 not yet said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    Connect,
    #[serde(alias = "login")]
    Auth,
    Mail,
    Rcpt,
    Data,
    End,
    Accepted,
    Select,
    Search,
    Fetch,
    /// What is in one message is fetched, whole; `match` sees its subject.
    Body,
    /// The same of its header.
    Header,
    /// The size or the time of arrival of one message is told; `match` sees its subject.
    Entry,
    /// Some lines of its header are.
    Fields,
    Store,
    Append,
    Idle,
    Request,
    /// The Gmail API: before a draft is made.
    Draft,
    /// A draft is made, and the answer not yet said.
    Created,
    /// Before a draft is sent.
    Send,
    /// Getting a draft, a message, a thread, or a list of drafts.
    Lookup,
}

impl FaultKind {
    pub(crate) fn usual_stage(self, target: Target) -> Stage {
        match (self, target) {
            (Self::ResetAfterAccept, _) => Stage::Accepted,
            (Self::LoginNo, _) => Stage::Auth,
            (Self::WrongUidvalidity | Self::UidReset, _) => Stage::Select,
            (_, Target::Smtp) => Stage::End,
            (_, Target::Imap) => Stage::Fetch,
            (_, Target::Llm) => Stage::Request,
            (_, Target::Gmail) => Stage::Send,
        }
    }

    pub(crate) fn is_possible(self, target: Target, stage: Stage) -> bool {
        let stage_exists = match target {
            Target::Smtp => matches!(
                stage,
                Stage::Connect | Stage::Auth | Stage::Mail | Stage::Rcpt | Stage::Data | Stage::End | Stage::Accepted
            ),
            Target::Imap => matches!(
                stage,
                Stage::Connect
                    | Stage::Auth
                    | Stage::Select
                    | Stage::Search
                    | Stage::Fetch
                    | Stage::Body
                    | Stage::Header
                    | Stage::Entry
                    | Stage::Fields
                    | Stage::Store
                    | Stage::Append
                    | Stage::Idle
            ),
            Target::Llm => stage == Stage::Request,
            Target::Gmail => matches!(
                stage,
                Stage::Draft | Stage::Created | Stage::Send | Stage::Accepted | Stage::Search | Stage::Lookup
            ),
        };
        let kind_exists = match self {
            Self::Latency | Self::Close | Self::Hang => true,
            Self::Reset => matches!(target, Target::Smtp | Target::Imap),
            Self::Reject4xx | Self::Reject5xx => target == Target::Smtp,
            Self::DailyLimit => matches!(target, Target::Smtp | Target::Gmail),
            Self::ResetAfterAccept => {
                matches!(target, Target::Smtp | Target::Gmail) && matches!(stage, Stage::Accepted | Stage::Created)
            }
            Self::LoginNo => target == Target::Gmail || (target == Target::Imap && stage == Stage::Auth),
            Self::WrongUidvalidity | Self::UidReset => target == Target::Imap && stage == Stage::Select,
            Self::GarbageLiteral => target == Target::Imap && matches!(stage, Stage::Fetch | Stage::Entry),
            Self::HugeLiteral => target == Target::Imap && stage == Stage::Fetch,
            Self::MissingFields => match target {
                Target::Imap => matches!(stage, Stage::Fetch | Stage::Select),
                Target::Gmail => matches!(stage, Stage::Search | Stage::Lookup),
                Target::Smtp | Target::Llm => false,
            },
            Self::Refusal => target == Target::Llm || (target == Target::Imap && stage == Stage::Entry),
            Self::Cut
            | Self::MalformedJson
            | Self::NotInSchema
            | Self::Invented
            | Self::InsufficientQuota
            | Self::NumericCode => target == Target::Llm,
            Self::RateLimit => match target {
                Target::Llm | Target::Gmail => true,
                Target::Imap => stage == Stage::Auth,
                Target::Smtp => false,
            },
            Self::ServerError | Self::NotJson => matches!(target, Target::Llm | Target::Gmail),
        };
        stage_exists && kind_exists
    }
}
