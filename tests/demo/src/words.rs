//! What a job does, in plain words.

use serde_json::Value;

use crate::http::text;

/// The stages of a mail that asks for a quote, in order: what is being done, and what was done.
const STAGES: [(&str, &str, &str); 4] = [
    ("extract_request", "reading it with the language model", "read: a quote request"),
    ("price_quote", "pricing the quote", "priced"),
    ("render_quote", "drawing the PDF", "PDF drawn"),
    ("send_email", "sending the reply", "reply sent: the mail server accepted it"),
];

/// A line about the job as it is now; none if it is not worth one.
pub fn of(job: &Value, about: &str) -> Option<String> {
    let (kind, state, output) = (text(job, "kind"), text(job, "state"), &job["output"]);
    if kind == "poll_mailbox" {
        return looked(job, state);
    }
    let place = STAGES.iter().position(|(one, _, _)| *one == kind);
    let (doing, done) = place.map_or((kind, kind), |index| (STAGES[index].1, STAGES[index].2));
    let step = place.map_or_else(|| "   ".to_owned(), |index| format!("{}/{}", index + 1, STAGES.len()));
    let what = match state {
        "running" => progress(job).map_or_else(|| format!("{doing} …"), |said| format!("{doing}: {said}")),
        "completed" => match (text(output, "mail"), text(output, "quote")) {
            ("ignored", _) => format!("read: no quote request, {}", text(output, "reason")),
            (_, "needs_review") => format!("read: a person must look at it, {}", text(output, "reason")),
            _ => {
                let said = [done, text(output, "total"), text(output, "number")];
                said.into_iter().filter(|words| !words.is_empty()).collect::<Vec<_>>().join(" ")
            }
        },
        "retryable" => format!("{doing}: failed and is tried again ({})", text(job, "error")),
        "dead" => format!("{doing}: given up ({})", text(job, "error")),
        "cancelled" => format!("{doing}: cancelled"),
        // Waiting is the pause between two lines.
        _ => return None,
    };
    Some(format!("{about}  {step}  {what}"))
}

/// A mailbox is looked into again and again; only what brought something is worth a line.
fn looked(job: &Value, state: &str) -> Option<String> {
    match (state, job["output"]["recorded"].as_u64()) {
        ("completed", Some(1)) => Some("looked into the mailbox: 1 new mail".to_owned()),
        ("completed", Some(new)) if new > 0 => Some(format!("looked into the mailbox: {new} new mails")),
        ("retryable" | "dead", _) => Some(format!("could not look into the mailbox ({})", text(job, "error"))),
        _ => None,
    }
}

/// What a running job says about itself: a text, or `{step | stage | message, done, total}`.
fn progress(job: &Value) -> Option<String> {
    match &job["progress"] {
        Value::Null => None,
        Value::String(words) => Some(words.clone()),
        Value::Object(fields) => {
            let said = ["step", "stage", "message"].iter().find_map(|name| fields.get(*name)?.as_str());
            let share = fields.get("done").zip(fields.get("total")).map(|(done, total)| format!("{done} of {total}"));
            let words: Vec<&str> = said.into_iter().chain(share.as_deref()).collect();
            (!words.is_empty()).then(|| words.join(" "))
        }
        other => Some(other.to_string()),
    }
}
