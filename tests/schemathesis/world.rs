//! An installation that was in use: a business whose mails became quotes, jobs that ended well and badly.

use std::path::Path;

use postrider_tests::platform::Reply;
use postrider_tests::{DatabaseKind, Platform, documents, eventually, mails};
use serde_json::json;
use tempfile::NamedTempFile;

/// Quotes that are sent: some operations use one up.
const SENT: usize = 8;
/// Quotes that wait for a person.
const REVIEWS: usize = 3;
/// Dead letters.
const DEAD: usize = 12;

/// Rates that are not limited here.
const LIMITS: [&str; 8] =
    ["ADDRESS", "CALLER", "READS", "WRITES", "ENQUEUES", "EXPORTS", "SIGN_IN_ADDRESS", "SIGN_IN_ACCOUNT"];

/// The installation, and the file that tells the hooks about it. That has keys in it, so it lies where no secrets are looked for.
pub struct World {
    platform: Platform,
    file: NamedTempFile,
}

impl World {
    pub async fn make() -> Self {
        let mut platform = Platform::with(DatabaseKind::Sqlite).setting("REGISTRATION", &"open").with_issuers();
        // Whoever is refused for its pace finds nothing.
        for limit in LIMITS {
            platform = platform.setting(&format!("RATE_LIMIT_{limit}"), &"off");
        }
        let platform = platform.start().await;
        let office = platform.workshop(86_400).await;
        // A reply whose acceptance is lost: somebody has to settle what became of it.
        platform.sandbox().fault(json!({ "target": "smtp", "kind": "reset_after_accept", "times": 1 })).await;
        platform.sandbox().deliver(&office.address, mails::simple_request(0, &office.address).raw).await;
        office.poll().await;
        eventually("the message in doubt", || async {
            platform.ledger().await.iter().any(|row| row.state == "unknown").then_some(())
        })
        .await;
        for number in 1..=SENT {
            platform.sandbox().deliver(&office.address, mails::simple_request(number, &office.address).raw).await;
        }
        for number in 0..REVIEWS {
            platform.sandbox().deliver(&office.address, vague(number, &office.address)).await;
        }
        let sheet = documents::document("01-comma.csv");
        let words = "Hello,\r\n\r\ncould you please send us a quote for what is in the attached file?\r\n";
        let with_file = documents::mail_with(99, &office.address, words, &[("list.csv", &sheet.content)]);
        platform.sandbox().deliver(&office.address, with_file).await;
        office.poll().await;
        for number in 0..DEAD {
            let payload = json!({ "times": 9, "error": format!("no answer after {number} s"), "permanent": true });
            office.api.submit("diagnostic.fail", &payload).await;
        }
        platform.no_jobs_left().await;
        // A customer who asks back, which a person has to answer.
        let asked = platform.sandbox().accepted().await.into_iter().find_map(|reply| {
            let customer = reply.rcpt_to.iter().any(|to| to.contains("customer-1@"));
            customer.then_some(reply.message_id).flatten()
        });
        let thread = ["request-1@drills.example", &asked.expect("the reply to the first customer")];
        let question = Reply {
            from: "customer-1@drills.example",
            message_id: "question-1@drills.example",
            thread: &thread,
            date: None,
            text: "Wie lange dauert die Lieferung?",
        };
        platform.deliver_reply(&office, question).await;
        office.poll().await;
        platform.no_jobs_left().await;
        let admin = platform.key(&office.api, "tenant_admin").await;
        let at = platform.sandbox().addresses();
        let told = json!({
            "base": platform.api().base(),
            "platform_key": platform.api().key(),
            "admin_key": admin.key(),
            "tenant_id": office.tenant_id,
            "account_id": office.account_id,
            "imap": at.imap, "smtp": at.smtp, "control": at.control_url,
        });
        let file = NamedTempFile::new().expect("a file of its own");
        std::fs::write(file.path(), told.to_string()).expect("tell the hooks");
        Self { platform, file }
    }

    pub fn folder(&self) -> &Path {
        self.platform.folder()
    }

    pub fn file(&self) -> &Path {
        self.file.path()
    }

    pub fn base(&self) -> &str {
        self.platform.api().base()
    }

    /// Ends everything; what was not good leaves its logs behind.
    pub fn end(self, good: bool) {
        if good {
            self.platform.abandon("what Schemathesis submitted may wait for ever");
        } else {
            self.platform.keep();
        }
    }
}

/// A request without sizes.
fn vague(number: usize, to: &str) -> Vec<u8> {
    format!(
        "From: vague{number}@kunden.example\r\nTo: {to}\r\nSubject: Aufkleber {number}\r\nMessage-ID: <vague{number}@kunden.example>\r\n\r\n\
         Bitte ein Angebot: {} Aufkleber.\r\n",
        number + 50
    )
    .into_bytes()
}
